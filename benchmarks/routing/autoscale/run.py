"""One autoscaler on the week: what it costs and what of the objectives it keeps."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice

from benchmarks.routing.autoscale import reactive
from benchmarks.routing.autoscale.week import (
    INITIAL,
    RENTED_EACH,
    SCALES,
    USD_PER_HOUR,
    ScaledWeek,
    hours,
    metered_usd,
    scaled,
)
from benchmarks.routing.measures import Measures, Summary
from benchmarks.routing.scenarios.week import WEEK_S, build
from benchmarks.routing.setup import Options
from router.policy.core import RouterCore
from router.policy.scaling.scaler import Scaler
from router.policy.units import NS_PER_HOUR, NS_PER_S, seconds
from router.sim.autoscaling import Autoscale, Decides, Seen
from router.sim.world import World

OURS, FIXED, REACTIVE = "predicted", "fixed", "reactive"
INTERVAL_NS = 30 * NS_PER_S  # of the week, between looks of ours
DRAIN_S = 15.0  # of the simulation's time: as long as nearly every answer takes
QUICK_SESSIONS = 400


@dataclass(frozen=True, slots=True)
class Try:
    """Which autoscaler: ours, none, or the rival with a target of ongoing requests."""

    kind: str
    target: float = 0.0

    @property
    def name(self) -> str:
        """What a table calls it."""
        return f"{self.kind} {self.target:g}" if self.target else self.kind


@dataclass(frozen=True, slots=True)
class Outcome:
    """One autoscaler's week. Hours and dollars are of the week."""

    name: str
    kind: str
    target: float
    summary: Summary
    broken: int  # answers that broke off
    hours: dict[str, float]
    usd: dict[str, float]
    cpu_s: float
    times_h: list[float] = field(default_factory=list)
    replicas: dict[str, list[int]] = field(default_factory=dict)

    @property
    def metered_usd(self) -> float:
        """What the metered sites billed."""
        return sum(self.usd.values())


class _Ours:
    """The policy that routers run, shown the first router's own view."""

    def __init__(self, week: ScaledWeek, core: RouterCore) -> None:
        self._week, self._core = week, core
        self._scaler = Scaler(week.fleet, round(DRAIN_S * NS_PER_S * week.clock))

    def __call__(self, seen: Seen) -> Mapping[str, int]:
        wants = self._scaler.look(
            self._core.scaling.sample(),
            self._week.unix_ns(seen.now),
            self._week.away(seen.now),
            speed=self._week.clock,
        )
        return {want.site: want.wanted for want in wants}


def run_one(one: Try, options: Options, clock: float) -> Outcome:
    """Simulate the week with it."""
    began_s = time.process_time()
    week = scaled(options, clock)
    setup = build(options, clock) if one.kind == FIXED else week.setup
    measures = Measures(setup.fleet)
    core = RouterCore(setup.fleet)
    plan = None if one.kind == FIXED else _plan(one, week, core)
    world = World(setup.world, setup.replicas, [core], measures.add, plan)
    sessions = setup.sessions()
    world.run(islice(sessions, QUICK_SESSIONS) if options.quick else sessions)
    lives = world.autoscaling.lives if world.autoscaling else []
    samples = world.autoscaling.samples if world.autoscaling else []
    step = max(1, len(samples) // 1_000)
    summary = measures.summary()
    return Outcome(
        name=one.name,
        kind=one.kind,
        target=one.target,
        summary=summary,
        broken=summary.failed,
        hours=hours(lives, clock) if plan else _always_hours(),
        usd=metered_usd(lives, clock) if plan else _always_usd(),
        cpu_s=time.process_time() - began_s,
        times_h=[seconds(at) * clock / 3_600 for at, _ in samples[::step]],
        replicas={site: [paid.get(site, 0) for _, paid in samples[::step]] for site in SCALES},
    )


def _plan(one: Try, week: ScaledWeek, core: RouterCore) -> Autoscale:
    decide: Decides = _Ours(week, core)
    interval_ns = INTERVAL_NS
    if one.kind == REACTIVE:
        initial = sum(INITIAL.values()) + reactive.COMMITTED
        decide = reactive.Reactive(week, one.target, initial)
        interval_ns = reactive.INTERVAL_NS
    return Autoscale(
        decide,
        start_ns={site: week.in_world(scale.start_ns) for site, scale in SCALES.items()},
        initial=INITIAL,
        billing_ns={site: week.in_world(scale.billing_ns) for site, scale in SCALES.items()},
        interval_ns=week.in_world(interval_ns),
    )


def _always_hours() -> dict[str, float]:
    week_h = WEEK_S * NS_PER_S / NS_PER_HOUR
    return {site: scale.replicas_max * week_h for site, scale in SCALES.items()}


def _always_usd() -> dict[str, float]:
    week_h = WEEK_S * NS_PER_S / NS_PER_HOUR
    return {site: RENTED_EACH * week_h * usd for site, usd in USD_PER_HOUR.items()}
