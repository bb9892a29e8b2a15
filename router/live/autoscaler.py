"""Looks at the demand again and again, and publishes how many replicas each site should have.

The router starts and stops nothing itself: a site's own autoscaler reads what is wanted of it
(`serving.autoscaling`). Of several workers the first decides for all (`router.live.scaling_crew`).
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Final

from router.live.scaling_crew import ScalingCrew
from router.live.scaling_file import ScalingFile
from router.live.settings import RouterSettings
from router.live.timed_core import TimedCore
from router.observe.metrics import Metrics
from router.policy.fleet import Fleet
from router.policy.loan import Away
from router.policy.scaling.scaler import Scaler, SiteWant
from router.policy.units import NS_PER_S, ns
from wire.spillway.v1 import fleet_pb2 as pb

KEPT_EVERY_NS: Final = 300 * NS_PER_S
"""A router that is killed loses so much of what it has learned: a third of what a bin counts."""


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
        crew: ScalingCrew | None = None,
        file: ScalingFile | None = None,
    ) -> None:
        """`away` is what a site lends; `crew` are the workers where there are several."""
        self._core, self._fleet, self._metrics, self._away = core, fleet, metrics, away
        self._unix_ns, self._crew = unix_ns, crew
        self._file = file if crew is None or crew.leads else None
        self._scaler = Scaler(fleet, ns(drain_timeout_s))
        self._looked_ns = 0
        self._kept_ns = unix_ns()
        self._keeping: asyncio.Task[None] | None = None
        self._finds = fleet.autoscaling.find_ns // NS_PER_S
        self._wants: Mapping[str, pb.Scaling] = {}
        if self._file is not None and (learned := self._file.read()) is not None:
            self._scaler.recall(learned)

    def adopt(self, fleet: Fleet) -> None:
        """The fleet is this one from now on."""
        self._fleet = fleet
        self._scaler.on_fleet(fleet)
        self._looked_ns = 0

    def look(self) -> None:
        """Looks if it is time to."""
        now = self._unix_ns()
        is_due = not 0 <= now - self._looked_ns < self._fleet.autoscaling.look_ns
        if self._crew is not None and not self._crew.leads:
            if is_due:
                self._looked_ns = now
                self._crew.tell()
            self._wants = self._crew.wants()
            return
        if self._finds:
            self._finds -= 1
            return
        scaled = [site.name for site in self._fleet.sites if site.scale is not None]
        if not scaled:
            self._wants = {}
        if scaled and is_due:
            self._decide(scaled, now)

    def want(self, site: str) -> pb.Scaling | None:
        """What is wanted of a site; None for one that does not scale."""
        return self._wants.get(site)

    def tell(self, state: pb.FleetState) -> None:
        """Writes what is wanted into a fleet's state."""
        for site in state.sites:
            if (want := self._wants.get(site.name)) is not None:
                site.scaling.CopyFrom(want)

    async def close(self) -> None:
        """Leaves what was learned to the router that comes after this one."""
        if self._keeping is not None:
            await self._keeping
        if self._file is not None and self._looked_ns:
            await asyncio.to_thread(self._file.write, self._scaler.learned())

    def _decide(self, scaled: list[str], now: int) -> None:
        sample = self._core.scaling_sample() if self._crew is None else self._crew.sample()
        if sample is None:
            return
        away = {name: self._away(name).replicas for name in scaled}
        wants = self._scaler.look(sample, now, away)
        if not wants:
            return
        self._looked_ns = now
        self._wants = {want.site: _message(want) for want in wants}
        for want in wants:
            self._metrics.set_wanted(want.site, want.wanted)
        if self._crew is not None:
            self._crew.say(self._wants)
        if self._file is not None and not 0 <= now - self._kept_ns < KEPT_EVERY_NS:
            self._kept_ns = now
            write, learned = self._file.write, self._scaler.learned()
            self._keeping = asyncio.create_task(asyncio.to_thread(write, learned))


def autoscaler_of(
    core: TimedCore,
    fleet: Fleet,
    metrics: Metrics,
    away: Callable[[str], Away],
    settings: RouterSettings,
    crew: ScalingCrew | None,
) -> Autoscaler:
    """A router's, by its settings."""
    path = settings.scaling_file
    file = None if path is None else ScalingFile(path)
    return Autoscaler(core, fleet, metrics, away, settings.drain_timeout_s, crew=crew, file=file)


def _message(want: SiteWant) -> pb.Scaling:
    return pb.Scaling(
        wanted=want.wanted,
        serving=want.serving,
        need=want.need,
        replicas_min=want.replicas_min,
        replicas_max=want.replicas_max,
        reason=want.reason,
        paid_usd=want.paid_usd,
    )
