"""Looks at the demand again and again, and publishes how many replicas each site should have.

The router starts and stops nothing itself: a site's own autoscaler reads what is wanted of it
(`serving.autoscaling`).
"""

import time
from collections.abc import Callable
from typing import Final

from router.live.timed_core import TimedCore
from router.observe.metrics import Metrics
from router.policy.fleet import Fleet
from router.policy.loan import Away
from router.policy.scaling.scaler import Scaler, SiteWant
from router.policy.units import NS_PER_S, ns
from wire.spillway.v1 import fleet_pb2 as pb

INTERVAL_NS: Final = 10 * NS_PER_S  # a tenth of the shortest time in which a replica starts

FINDS_LOOKS: Final = 30
"""In so many seconds a router that starts finds what there is: dashboards answer, endpoints are
connected. What it wanted before would be too little, and sites follow at once."""


class Autoscaler:
    """What one router wants of the sites that scale. Called once a second."""

    def __init__(
        self,
        core: TimedCore,
        fleet: Fleet,
        metrics: Metrics,
        away: Callable[[str], Away],
        drain_timeout_s: float,
        unix_ns: Callable[[], int] = time.time_ns,
        interval_ns: int = INTERVAL_NS,
    ) -> None:
        """`away` is what a site lends."""
        self._core, self._fleet, self._metrics, self._away = core, fleet, metrics, away
        self._unix_ns, self._interval_ns = unix_ns, interval_ns
        self._scaler = Scaler(fleet, ns(drain_timeout_s))
        self._looked_ns = 0
        self._finds = FINDS_LOOKS
        self._wants: dict[str, SiteWant] = {}

    def adopt(self, fleet: Fleet) -> None:
        """The fleet is this one from now on."""
        self._fleet = fleet
        self._scaler.on_fleet(fleet)
        self._looked_ns = 0

    def look(self) -> None:
        """Looks if it is time to."""
        if self._finds:
            self._finds -= 1
            return
        now = self._unix_ns()
        scaled = [site.name for site in self._fleet.sites if site.scale is not None]
        if not scaled:
            self._wants = {}
        if not scaled or 0 <= now - self._looked_ns < self._interval_ns:
            return
        away = {name: self._away(name).replicas for name in scaled}
        wants = self._scaler.look(self._core.scaling_sample(), now, away)
        if not wants:
            return
        self._looked_ns = now
        self._wants = {want.site: want for want in wants}
        for want in wants:
            self._metrics.set_wanted(want.site, want.wanted)

    def want(self, site: str) -> SiteWant | None:
        """What is wanted of a site; None for one that does not scale."""
        return self._wants.get(site)

    def tell(self, state: pb.FleetState) -> None:
        """Writes what is wanted into a fleet's state."""
        for site in state.sites:
            if (want := self._wants.get(site.name)) is not None:
                site.scaling.CopyFrom(
                    pb.Scaling(
                        wanted=want.wanted,
                        serving=want.serving,
                        need=want.need,
                        replicas_min=want.replicas_min,
                        replicas_max=want.replicas_max,
                        reason=want.reason,
                        paid_usd=want.paid_usd,
                    )
                )
