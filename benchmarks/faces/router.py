"""The router under measurement: `python -m benchmarks.faces.router HOST:PORT FACE`.

It prints the port of the face once an endpoint can be reached through it.
"""

import asyncio
import sys

import aiohttp

from router.live.router import Router
from router.live.settings import RouterSettings, SiteAccess
from router.policy.fleet import Fleet, Site, SiteKind, SloClass
from router.policy.units import NS_PER_S

LOOPBACK = "127.0.0.1:0"
_READY_TIMEOUT_S = 15.0


async def main() -> None:
    """Serve until standard input closes."""
    address, face = sys.argv[1:]
    slo = SloClass("default", ttft_ns=60 * NS_PER_S, itl_ns=60 * NS_PER_S)
    fleet = Fleet((Site("home", SiteKind.HOME),), (slo,), "default")
    settings = RouterSettings(listen=LOOPBACK, metrics_listen=None, openai_listen=LOOPBACK)
    router = Router(fleet, [SiteAccess("home", endpoints=(address,))], settings)
    await router.start()
    async with asyncio.timeout(_READY_TIMEOUT_S), aiohttp.ClientSession() as http:
        while (await http.get(f"http://127.0.0.1:{router.openai_port}/health")).status != 200:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    print(router.openai_port if face == "openai" else router.port, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await router.stop(0)


if __name__ == "__main__":
    asyncio.run(main())
