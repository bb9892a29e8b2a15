"""Tells the core which endpoints are lent, by the schedule of the fleet and the wall clock."""

import time
from collections.abc import Callable, Iterable

from router.live.roster import Roster
from router.live.timed_core import TimedCore
from router.observe.event import LendChanged
from router.policy.fleet import Site
from router.policy.lending import lent_of


class Lender:
    """Looks at the sites that lend. Called once a second: a schedule is in minutes."""

    def __init__(
        self,
        core: TimedCore,
        roster: Roster,
        sites: Iterable[Site],
        unix_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._core = core
        self._roster = roster
        self._lendings = {site.name: site.lending for site in sites if site.lending is not None}
        self._unix_ns = unix_ns
        self._lent: dict[str, tuple[str, ...]] = {}  # what the core was told, by site

    def look(self) -> None:
        """Tells the core what has changed, by the time or in the list of endpoints."""
        for site, lending in self._lendings.items():
            names = [endpoint.name for endpoint in self._roster if endpoint.site == site]
            lent = lent_of(names, lending.kept(self._unix_ns()))
            if lent != self._lent.get(site, ()):
                self._lent[site] = lent
                self._core.tell(LendChanged(site, lent))
