"""The router whose page is measured: `python -m benchmarks.page.router FIRST_PORT SITES ENGINES`.

It prints the port of its page; gRPC listens on FIRST_PORT, and the engines on those after it, as
many for each site as ENGINES says, the sites in turn.
"""

import asyncio
import sys

from router.live.router import Router
from router.live.settings import RouterSettings, SiteAccess
from router.policy.fleet import Fleet, Price, Site, SiteKind, SloClass, Tenant
from router.policy.units import NS_PER_MS

REGIONS = ("frankfurt", "ashburn", "phoenix", "london", "tokyo", "mumbai", "sydney", "dallas")


def fleet_of(sites: int) -> Fleet:
    """A home and rented sites of different prices."""
    rented = [
        Site(
            f"rented-{number}" if sites > 2 else "rented",
            SiteKind.RENTED,
            REGIONS[number % len(REGIONS)],
            Price(
                metered_usd_per_replica_hour=2.0 + 0.35 * number,
                budget_usd_per_hour=40.0,
                budget_usd_per_month=9_000.0,
            ),
        )
        for number in range(1, sites)
    ]
    classes = (
        SloClass("chat", ttft_ns=800 * NS_PER_MS, itl_ns=120 * NS_PER_MS),
        SloClass("batch", ttft_ns=20_000 * NS_PER_MS, itl_ns=500 * NS_PER_MS, priority=3),
    )
    home = Site("home", SiteKind.HOME, "zurich")
    return Fleet((home, *rented), classes, "chat", tenants=(Tenant("search"), Tenant("support")))


async def main() -> None:
    """Serve until standard input closes."""
    first, sites, engines = (int(argument) for argument in sys.argv[1:4])
    fleet = fleet_of(sites)
    access = []
    for number, site in enumerate(fleet.sites):
        ports = range(first + 1 + number * engines, first + 1 + (number + 1) * engines)
        access.append(SiteAccess(site.name, endpoints=tuple(f"127.0.0.1:{p}" for p in ports)))
    settings = RouterSettings(listen=f"127.0.0.1:{first}", metrics_listen="127.0.0.1:0")
    router = Router(fleet, access, settings)
    await router.start()
    print(router.metrics_port, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await router.stop(0)


if __name__ == "__main__":
    asyncio.run(main())
