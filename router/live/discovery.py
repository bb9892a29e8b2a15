"""Keeps the roster what the clusters and the hand-written lists say it is.

A dashboard lists a dead replica for seconds more, which does no harm: its connection is lost, and
it is not up again for being listed. A dashboard that cannot be asked changes nothing. One that
lists no replica while some are connected may be a Serve controller that has just restarted, so it
is believed only when it says so again and again.
"""

import asyncio
import logging
import random
from collections.abc import Iterable
from typing import Final, Protocol

import aiohttp

from router.live.dashboard_http import DiscoveryError
from router.live.ray_dashboard import RayDashboard
from router.live.settings import SiteAccess
from wire.tls.plaintext import ACCEPTED, is_loopback

_EMPTY_ANSWERS_BELIEVED: Final = 3

_log = logging.getLogger(__name__)


class Listed(Protocol):
    """Whoever wants to know which endpoints a site has."""

    def set_site(self, site: str, addresses: Iterable[str], /) -> None:
        """These are the endpoints of a site."""
        ...

    def connected_at(self, site: str, /) -> object:
        """Whether any endpoint of a site is there, whatever the lists say."""
        ...


class SiteDiscovery:
    """Follows the list of one site."""

    def __init__(
        self,
        roster: Listed,
        access: SiteAccess,
        http: aiohttp.ClientSession,
        interval_s: float,
        timeout_s: float,
    ) -> None:
        self._roster = roster
        self._access = access
        self._interval_s = interval_s
        self._dashboard = (
            RayDashboard(http, access.dashboard_url, timeout_s, access.application)
            if access.dashboard_url
            else None
        )
        self._empty_answers = 0
        self._failing = False

    @property
    def failing(self) -> bool:
        """Whether the dashboard could not be asked the last time."""
        return self._failing

    async def run(self, *, again: bool = False) -> None:
        """Lists what is known by hand at once, and what the dashboard says, until cancelled.

        `again` tells that the site has been followed in another way: what that found stays until a
        dashboard says what there is.
        """
        if self._dashboard is None or not again:
            self._roster.set_site(self._access.site, self._access.endpoints)
        if self._dashboard is None:
            return
        while True:
            await self.look(self._dashboard)
            await asyncio.sleep(self._interval_s * random.uniform(0.8, 1.0))

    async def look(self, dashboard: RayDashboard) -> None:
        """Asks the dashboard once."""
        try:
            targets = await dashboard.targets(self._access.host)
            refuse_far(self._access, targets)
        except DiscoveryError as error:
            if not self._failing:
                _log.warning("site %s: %s", self._access.site, error)
            self._failing = True
            return
        if self._failing:
            _log.info("site %s: its dashboard answers again", self._access.site)
        self._failing = False
        self._empty_answers = 0 if targets else self._empty_answers + 1
        doubtful = self._empty_answers < _EMPTY_ANSWERS_BELIEVED
        if not targets and doubtful and self._roster.connected_at(self._access.site):
            return
        self._roster.set_site(self._access.site, {*self._access.endpoints, *targets})


def refuse_far(access: SiteAccess, targets: Iterable[str]) -> None:
    """Raises DiscoveryError for what would be reached in plaintext over a network."""
    if access.plaintext is not None:
        return
    far = next((one for one in targets if not is_loopback(one.rpartition(":")[0])), None)
    if far is not None:
        raise DiscoveryError(
            f"it lists {far}, which is not this machine and has no TLS; reach the site by a"
            f" router there, or accept it with plaintext: {ACCEPTED}"
        )
