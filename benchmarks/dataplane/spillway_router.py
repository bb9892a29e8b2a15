"""The router under measurement, in front of one endpoint listed by hand.

`python -m benchmarks.dataplane.spillway_router --to HOST:PORT` prints its port once the endpoint
serves through it, and ends with its standard input.
"""

import argparse
import asyncio
import json
import sys
from pathlib import Path

import grpc.aio

from benchmarks.dataplane.certified import Certified, channel_to
from benchmarks.dataplane.engine import MODEL
from router.live.router import Router
from router.live.settings import RouterSettings, SiteAccess, TlsSettings
from router.policy.fleet import Fleet, Site, SiteKind, SloClass
from router.policy.units import NS_PER_S
from spillway.client import ClientTls
from wire.vllm import inference_pb2

READY_TIMEOUT_S = 15.0
COUNT_S = 0.2
_LOOPBACK = "127.0.0.1:0"


async def main() -> None:
    """Serve until standard input closes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dataplane.spillway_router")
    parser.add_argument("--to", required=True, help="host:port of the backend")
    parser.add_argument("--openai", action="store_true", help="print the port of OpenAI's API")
    parser.add_argument("--counts", type=Path, help="keep counts of what is open in this file")
    parser.add_argument("--no-link", action="store_true", help="each stream is a call of its own")
    parser.add_argument("--tls", type=Path, help="a folder with the certificates of a run")
    options = parser.parse_args()
    certified = None if options.tls is None else Certified(options.tls)
    fleet = Fleet(
        sites=(Site("home", SiteKind.HOME),),
        # An objective that is always met: what is measured is the way, not the decision's taste.
        slo_classes=(SloClass("default", ttft_ns=60 * NS_PER_S, itl_ns=60 * NS_PER_S),),
        default_slo="default",
    )
    access = [
        SiteAccess(
            "home",
            endpoints=(options.to,),
            link=not options.no_link,
            tls=None if certified is None else certified.site,
        )
    ]
    settings = RouterSettings(
        listen=_LOOPBACK,
        metrics_listen=None,
        openai_listen=_LOOPBACK if options.openai else None,
        tls=TlsSettings() if certified is None else certified.router,
    )
    router = Router(fleet, access, settings)
    await router.start()
    tls = None if certified is None else certified.client
    await _until_it_serves(f"127.0.0.1:{router.port}", tls)
    counting = None
    if options.counts is not None:
        _write_counts(options.counts, router)
        counting = asyncio.create_task(_count(options.counts, router))
    print(router.openai_port if options.openai else router.port, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    if counting is not None:
        counting.cancel()
    await router.stop(0)


async def _count(path: Path, router: Router) -> None:
    while True:
        await asyncio.sleep(COUNT_S)
        _write_counts(path, router)


def _write_counts(path: Path, router: Router) -> None:
    counts = {"tasks": len(asyncio.all_tasks()), "calls": router.open_calls}
    unfinished = path.with_suffix(".new")
    unfinished.write_text(json.dumps(counts), encoding="ascii")
    unfinished.replace(path)


async def _until_it_serves(address: str, tls: ClientTls | None) -> None:
    request = inference_pb2.GenerateRequest(model=MODEL, text="ready?")
    request.stopping.max_new_tokens = 1
    async with asyncio.timeout(READY_TIMEOUT_S), channel_to(address, tls) as channel:
        method = channel.unary_stream("/vllm.Inference/GenerateStream")
        while True:
            call = method(request.SerializeToString())
            try:
                async for _message in call:
                    return
            except grpc.aio.AioRpcError:
                await asyncio.sleep(0.05)
            finally:
                call.cancel()


if __name__ == "__main__":
    asyncio.run(main())
