"""Tells the core which sites' leases end so soon that nothing new is begun there."""

import time
from collections.abc import Callable

from router.live.timed_core import TimedCore
from router.observe.event import SiteLeaseChanged
from router.policy.fleet import Fleet
from router.policy.site_lease import is_ending
from router.policy.units import ns


class SiteLeases:
    """Looks at the wall clock. Called once a second: leases end by the minute at best."""

    def __init__(
        self,
        core: TimedCore,
        fleet: Fleet,
        drain_timeout_s: float,
        unix_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._core = core
        self._unix_ns = unix_ns
        self._ending: set[str] = set()  # that the core was told of
        self.adopt(fleet, drain_timeout_s)

    def adopt(self, fleet: Fleet, drain_timeout_s: float) -> None:
        """The fleet is this one from now on; the next look tells what that changes."""
        self._drain_ns = ns(drain_timeout_s)
        self._until = {site.name: site.lease_until_unix_ns for site in fleet.sites}
        self._margin_ns = fleet.limits.site_lease_margin_ns
        self._ending &= self._until.keys()

    def look(self) -> None:
        """Tells the core what has changed."""
        for site, until_unix_ns in self._until.items():
            ending = until_unix_ns is not None and is_ending(
                until_unix_ns, self._drain_ns, self._margin_ns, self._unix_ns()
            )
            if ending != (site in self._ending):
                (self._ending.add if ending else self._ending.discard)(site)
                self._core.tell(SiteLeaseChanged(site, ending))
