"""How this process reaches the sites of its fleet, and who follows the lists of their endpoints."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import aiohttp

from router.live import background
from router.live.channel import Dialler
from router.live.discovery import SiteDiscovery
from router.live.endpoint import LiveEndpoint
from router.live.follower import Pace, Told, Witness
from router.live.lease_desk import LeaseDesk
from router.live.roster import Roster
from router.live.settings import RouterSettings, SiteAccess
from router.live.tls import dialler_to
from router.policy.fleet import Fleet


@dataclass(frozen=True, slots=True)
class Prepared:
    """Other ways to sites, of which each can be gone."""

    ways: Mapping[str, SiteAccess]
    diallers: Mapping[str, Dialler]


def require_sites(fleet: Fleet, access: Sequence[SiteAccess]) -> None:
    """Raises ValueError for access to a site that the fleet does not have."""
    sites = {site.name for site in fleet.sites}
    for way in access:
        if way.site not in sites:
            raise ValueError(f"access to {way.site!r}, which is no site of the fleet")


class Reach:
    """The ways to all sites. Without `follow` somebody else lists their endpoints."""

    def __init__(self, access: Sequence[SiteAccess], settings: RouterSettings) -> None:
        """Raises TlsError for certificates of no use."""
        self._settings = settings
        self._ways: dict[str, SiteAccess] = {}
        self._diallers: dict[str, Dialler] = {}
        self.off: set[str] = set()  # sites to whose endpoints clients do not go themselves
        self.doors: dict[str, str] = {}  # where clients find all endpoints of a site
        self._discoveries: dict[str, tuple[SiteDiscovery, asyncio.Task[None]]] = {}
        self._ended: set[asyncio.Task[None]] = set()
        self._followed: tuple[Roster, aiohttp.ClientSession] | None = None
        self._take(self.prepared(access))

    def __contains__(self, site: str) -> bool:
        return site in self._ways

    @property
    def sites(self) -> Iterable[str]:
        """The sites by name."""
        return tuple(self._ways)

    def open(
        self,
        core: Told,
        desk: LeaseDesk,
        site: str,
        address: str,
        *,
        fed: bool = False,
        witness: Witness | None = None,
    ) -> LiveEndpoint:
        """An endpoint of a site, followed from now on; a witness's has no link."""
        settings = self._settings
        pace = Pace(settings.rtt_interval_s, settings.load_silence_max_s)
        return LiveEndpoint(
            *(core, site, address, pace, self._diallers[site], desk),
            link=self._ways[site].link and witness is None,
            fed=fed,
            witness=witness,
        )

    def ways(self) -> Iterable[SiteAccess]:
        """How each site is reached."""
        return tuple(self._ways.values())

    def follow(self, roster: Roster, http: aiohttp.ClientSession) -> None:
        """Begins to tell the roster which endpoints there are."""
        self._followed = roster, http
        for way in self._ways.values():
            self._discover(way)

    def failing(self) -> dict[str, bool]:
        """Whether each site's dashboard could not be asked the last time."""
        return {site: one.failing for site, (one, _) in self._discoveries.items()}

    def is_failing(self, site: str) -> Callable[[], bool]:
        """The same of one site, whenever it is asked; one that nobody asks does not fail."""
        return lambda: self._discoveries[site][0].failing if site in self._discoveries else False

    def prepared(self, access: Iterable[SiteAccess]) -> Prepared:
        """These ways from now on, if they are adopted. Raises TlsError, and changes nothing."""
        ways = {way.site: way for way in access}
        diallers = {
            site: self._diallers[site]
            if site in self._ways and self._ways[site].tls == way.tls
            else dialler_to(way, self._settings)
            for site, way in ways.items()
        }
        return Prepared(ways, diallers)

    def adopt(self, prepared: Prepared, roster: Roster) -> None:
        """These are the ways from now on: what has no other is left as it is.

        Streams at endpoints that are listed no more, or reached in another way, go on to their end.
        """
        before = self._ways
        redialled = [
            site
            for site, way in prepared.ways.items()
            if site in before and (way.tls, way.link) != (before[site].tls, before[site].link)
        ]
        gone = [site for site in before if site not in prepared.ways]
        relisted = [way for site, way in prepared.ways.items() if before.get(site) != way]
        self._take(prepared)
        for site in gone:
            self._stop(site)
            roster.set_site(site, ())
        for site in redialled:
            roster.reopen(site)
        if self._followed is not None:
            for way in relisted:
                self._stop(way.site)
                self._discover(way, again=way.site in before)

    async def close(self) -> None:
        """Follows no list any more."""
        for site in tuple(self._discoveries):
            self._stop(site)
        await asyncio.gather(*self._ended, return_exceptions=True)

    def _take(self, prepared: Prepared) -> None:
        self._ways, self._diallers = dict(prepared.ways), dict(prepared.diallers)
        self.off.clear()
        self.off.update(site for site, way in self._ways.items() if not way.direct)
        self.doors.clear()
        self.doors.update({s: way.door for s, way in self._ways.items() if way.door is not None})

    def _discover(self, way: SiteAccess, *, again: bool = False) -> None:
        if self._followed is None:
            return
        roster, http = self._followed
        settings = self._settings
        discovery = SiteDiscovery(
            roster, way, http, settings.discovery_interval_s, settings.discovery_timeout_s
        )
        task = background.begin(discovery.run(again=again), f"discover {way.site}")
        self._discoveries[way.site] = discovery, task

    def _stop(self, site: str) -> None:
        _, task = self._discoveries.pop(site, (None, None))
        if task is not None:
            task.cancel()
            self._ended.add(task)
            task.add_done_callback(self._ended.discard)
