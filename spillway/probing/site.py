"""All endpoints of a site, found as a router finds them and asked side by side."""

import asyncio
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import aiohttp

from router.live.dashboard_http import DiscoveryError
from router.live.discovery import refuse_far
from router.live.ray_dashboard import RayDashboard
from router.live.settings import RouterSettings, SiteAccess
from router.live.tls import dialler_to
from spillway.probing.endpoint import ASK_S, EndpointFound, ask_endpoint
from wire.tls.files import TlsError

ENDPOINTS_MAX = 64  # of one site that are asked; the others are much like them


@dataclass(frozen=True, slots=True)
class SiteFound:
    """What a site answered."""

    site: str
    why_not: str = ""  # why nothing there could be asked
    endpoints: tuple[EndpointFound, ...] = ()
    listed: int = 0  # endpoints, of which those above were asked
    dashboard_ahead_s: float | None = None  # its dashboard's clock, of ours; by a second at best

    @property
    def reached(self) -> tuple[EndpointFound, ...]:
        """The endpoints that answered."""
        return tuple(one for one in self.endpoints if one.reached)


async def ask_site(
    way: SiteAccess, settings: RouterSettings, ask_s: float = ASK_S, *, bulk: bool = False
) -> SiteFound:
    """Ask a site. `bulk` measures the bandwidth to one endpoint of it, too."""
    try:
        dialler = dialler_to(way, settings)
        addresses = sorted({*way.endpoints, *await _discovered(way, ask_s)})
    except (DiscoveryError, TlsError) as error:
        return SiteFound(way.site, str(error))
    asked = addresses[:ENDPOINTS_MAX]
    ahead_s = await _dashboard_ahead_s(way, ask_s)
    found = await asyncio.gather(
        *(
            ask_endpoint(dialler, address, ask_s, bulk=bulk and place == 0)
            for place, address in enumerate(asked)
        )
    )
    return SiteFound(way.site, "", tuple(found), len(addresses), ahead_s)


async def _discovered(way: SiteAccess, ask_s: float) -> frozenset[str]:
    if way.dashboard_url is None:
        return frozenset()
    async with aiohttp.ClientSession() as http:
        dashboard = RayDashboard(http, way.dashboard_url, ask_s, way.application)
        targets = await dashboard.targets(way.host)
    refuse_far(way, targets)
    return targets


async def _dashboard_ahead_s(way: SiteAccess, ask_s: float) -> float | None:
    """How far the clock behind a dashboard is ahead of ours, by the Date of an answer.

    That is cut off to the second, so half of one is added, and half of the round trip taken off.
    """
    if way.dashboard_url is None:
        return None
    asked_s = time.time()
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ask_s)) as http,
            http.get(f"{way.dashboard_url}/api/version") as response,
        ):
            heard_s = time.time()
            said = parsedate_to_datetime(response.headers["Date"])
    except (aiohttp.ClientError, TimeoutError, KeyError, ValueError):
        return None
    return said.timestamp() + 0.5 - (asked_s + heard_s) / 2
