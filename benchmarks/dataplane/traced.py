"""`python -m benchmarks.dataplane.traced`: what spans cost a router, off and on at 100 %.

Both take turns under the same load, and the ratio is taken within each turn. A stream has three
spans however many messages it has, so that the dearer a request is, the less they weigh.
"""

import argparse
import asyncio
import os
import statistics
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final

import grpc

from benchmarks.dataplane.load import LOADS, Load
from benchmarks.dataplane.measure import Measured, measure
from benchmarks.report import print_table
from benchmarks.report_page import add_options, publish
from spillway.progress import Progress

_VARIABLE: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
_EXPORT: Final = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


class Collector(grpc.GenericRpcHandler):
    """Takes what it is sent, counts the batches, and looks at nothing."""

    def __init__(self) -> None:
        self.batches = 0

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        """See grpc.GenericRpcHandler."""
        return (
            grpc.unary_unary_rpc_method_handler(self._take) if details.method == _EXPORT else None
        )

    def _take(self, _request: bytes, _context: grpc.ServicerContext) -> bytes:
        self.batches += 1
        return b""


@contextmanager
def collecting() -> Iterator[tuple[Collector, str]]:
    """A collector, and where it is."""
    collector = Collector()
    server = grpc.server(ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers((collector,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield collector, f"http://127.0.0.1:{port}"
    finally:
        server.stop(None)


async def in_turn(load: Load, repeats: int, seconds: float, to: str) -> dict[str, list[Measured]]:
    """Each repeat of one load, off and on."""
    runs: dict[str, list[Measured]] = {"off": [], "on": []}
    with Progress(load.name, repeats * len(runs)) as progress:
        for repeat in range(repeats):
            for name, found in runs.items():
                os.environ.pop(_VARIABLE, None)
                if name == "on":
                    os.environ[_VARIABLE] = to
                found.append(await measure(load, "spillway", repeat, seconds, None))
                progress.advance()
    os.environ.pop(_VARIABLE, None)
    return runs


def ratios(runs: dict[str, list[Measured]]) -> list[float]:
    """CPU for a message, on against off, in each turn."""
    pairs = zip(runs["off"], runs["on"], strict=True)
    return [on.cpu_us_per_message / off.cpu_us_per_message for off, on in pairs]


def main(arguments: list[str] | None = None) -> int:
    """The command; 1 where no span arrived, and the ratio says nothing."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dataplane.traced")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each run")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--loads", nargs="*", default=["saturated", "64 x 20 ms", "32 short"])
    add_options(parser)
    options = parser.parse_args(arguments)
    rows, figures = [], {}
    with collecting() as (collector, to):
        for load in (one for one in LOADS if one.name in options.loads):
            runs = asyncio.run(in_turn(load, options.repeats, options.seconds, to))
            found = ratios(runs)
            off, on = (
                statistics.median(one.cpu_us_per_message for one in runs[name]) for name in runs
            )
            figures[load.name] = {"off_us": off, "on_us": on, "ratios": found}
            spread = f"{min(found):.3f} to {max(found):.3f}"
            middle = f"{statistics.median(found):.3f}"
            rows.append((load.name, str(load.messages), f"{off:.1f}", f"{on:.1f}", middle, spread))
        seen = collector.batches
    columns = ("load", "messages a stream", "off us/message", "on us/message", "ratio", "spread")
    shown = print_table("What spans cost a router: CPU for a message", columns, rows)
    publish(options, "What spans cost a router", figures, [shown])
    if not seen:
        print("no span has arrived: is the extra `tracing` installed?", file=sys.stderr)
    return 0 if seen else 1


if __name__ == "__main__":
    sys.exit(main())
