"""Runs one storm to its end and checks what must hold in it.

The invariants:

- exactly once: each client gets the tokens of one valid generation in order, each once, and all of
  them where the status is OK;
- no request is lost: each ends, once, and none only because its deadline passed;
- counters return to zero, and no engine is left with a request that nobody waits for;
- no error where a healthy endpoint had room, unless a budget or the number of attempts ran out;
- budgets are kept: of retries, of resumes, of attempts, of money;
- tables keep their bounds;
- a prompt that kills engines kills few of them, however often it is sent, and no other prompt is
  held to be such;
- hedges go to another site, and keep their budgets of requests and of money;
- a fleet file that is read again in the middle of all this breaks none of these: what was spent
  stays spent, what has begun goes on, and a site that it has no longer is left;
- nothing is sent where the core was told that nothing should be (P8), and an endpoint that fails
  every request costs a bounded number of them.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

from router.policy.resume import TEXT
from router.policy.units import NS_PER_HOUR, NS_PER_MS, NS_PER_S
from router.sim.storm.clock import JumpingClock
from router.sim.storm.listing import Log
from router.sim.storm.plan import WEIGHTS, Kind, Storm
from router.sim.storm.router import LOOK_NS, StormRouter
from router.sim.storm.turn import CANCELLED, LATE, OK, BrokenError, Turn
from router.sim.storm.weather import Weather

REPORT_EVERY_NS = 250 * NS_PER_MS
PROBE_EVERY_NS = NS_PER_S
TICK_EVERY_NS = NS_PER_S
CALM_NS = 5 * NS_PER_S  # after the last turn: what was abandoned is aborted, links are empty
_FAILED_MAX = 12
"""Three failures open the breaker, and pauses of 1, 2 and 4 s each end with a probe; the others are
those that were sent before the first failures were heard."""

_SEEN_CRASHES_MAX = 3
"""Of one prompt: two make it a suspect, and a third where it had company in both."""

_CRASHES_MAX = 6
_BLINDING = frozenset({Kind.FROZEN, Kind.LATE, Kind.TWICE, Kind.SUSPENDED, Kind.RELOADED})
"""Under which a router may take an engine that was started again for the one that it knew, or never
hear that one was, because its site is in the fleet file no longer."""

_LIKE_POISON = frozenset({Kind.KILLED, Kind.SITE_KILLED, Kind.LEAVES})
"""What looks like a crash to a request that was in flight: others share the blame."""

_HEDGE_BURST = 10
_EPSILON_USD = 1e-6

_NO_CLASS = "there is no class"
_UNABLE = "unable to go on with this stream"
_HONEST = ("budget is spent", "no more than", _NO_CLASS)
"""What the reason for an error may be although an endpoint had room."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a storm came to that broke no rule."""

    turns: int
    complete: int
    resumed: int
    late_tokens: int  # of abandoned attempts, which reached nobody
    hedges: int
    quarantined: int  # prompts that are kept away in the end
    poisoned: int  # engines that they killed


def run(storm: Storm, log: Log | None = None) -> Outcome:
    """Run it. Raises BrokenError where something does not hold."""
    clock = JumpingClock()
    router = StormRouter(storm, clock, log)
    weather = Weather(storm, clock, router)
    for engine in weather.engines.values():
        router.list_endpoint(engine)
    for ask in storm.asks:
        clock.at(ask.at_ns, router.begin, ask)
    last_ns = max(
        *(ask.at_ns for ask in storm.asks), *(strike.until_ns for strike in storm.strikes)
    )

    def goes_on() -> bool:
        return not router.is_idle or clock.now < last_ns + CALM_NS

    _repeat(clock, REPORT_EVERY_NS, weather.report, goes_on)
    _repeat(clock, PROBE_EVERY_NS, router.probe, goes_on)
    _repeat(clock, LOOK_NS, router.look, goes_on)
    _repeat(clock, TICK_EVERY_NS, router.tick, goes_on)
    clock.run()
    _check(storm, router, weather, clock.now)
    turns = router.turns.values()
    return Outcome(
        len(turns),
        sum(turn.status == OK for turn in turns),
        sum(turn.resumes > 0 for turn in turns),
        router.late_tokens,
        router.hedges,
        len(router.core.snapshot(clock.now).quarantined),
        weather.poisoned.total(),
    )


def _repeat(
    clock: JumpingClock, every_ns: int, call: Callable[[], None], goes_on: Callable[[], bool]
) -> None:
    def again() -> None:
        call()
        if goes_on():
            clock.at(clock.now + every_ns, again)

    clock.at(clock.now, again)


def _check(storm: Storm, router: StormRouter, weather: Weather, now: int) -> None:
    for turn in router.turns.values():
        turn.check()
        if turn.status == LATE:
            raise BrokenError(f"{turn.ask.id} hung until its deadline")
        if turn.given and _NO_CLASS in turn.status:
            raise BrokenError(f"{turn.ask.id} had begun and lost its class: {turn.status}")
        _check_refuge(storm, turn)
    asked = sum(1 + ask.repeats for ask in storm.asks)
    if len(router.turns) != asked:
        raise BrokenError(f"{asked} were asked and {len(router.turns)} begun")
    _check_counters(storm, router, weather, now)
    _check_failing(storm, weather)
    _check_poison(storm, router, weather)
    _check_hedges(storm, router, now)
    _check_budgets(storm, router, now)


def _check_refuge(storm: Storm, turn: Turn) -> None:
    """An error is honest only where no endpoint could have gone on with the stream."""
    refuge = storm.refuge
    if refuge is None or turn.status in {OK, CANCELLED} or turn.weights not in {"", WEIGHTS}:
        return
    if _UNABLE in turn.status and _of_unknown_origin(storm, turn):
        return
    if not any(words in turn.status for words in _HONEST):
        raise BrokenError(f"{turn.ask.id} failed while {refuge.name} had room: {turn.status}")


def _of_unknown_origin(storm: Storm, turn: Turn) -> bool:
    """Whether it began at an endpoint that says nothing of itself, with more than a prompt tells.

    Who took its delivered tokens for a prompt would give another answer, and it cannot be replayed.
    """
    if not turn.given or turn.ask.repeatable or set(turn.ask.features) <= {TEXT}:
        return False
    origin = turn.given[0].attempt.endpoint
    return any(one.name == origin and not one.identity.is_known for one in storm.stations)


def _check_failing(storm: Storm, weather: Weather) -> None:
    """An endpoint that fails all it is asked is soon asked no more."""
    failed_max = _FAILED_MAX + storm.asked_at_once
    for engine in weather.engines.values():
        strikes = [one for one in storm.strikes if one.target in {engine.name, engine.station.site}]
        if len(strikes) == 1 and engine.failed > failed_max:
            raise BrokenError(f"{engine.name} failed {engine.failed} requests")


def _check_poison(storm: Storm, router: StormRouter, weather: Weather) -> None:
    """Who kills engines is found out; where nothing else does, nobody else is held to be such."""
    kinds = {strike.kind for strike in storm.strikes}
    poisons = {ask.prompt for ask in storm.asks if ask.poison}
    # Two poisons at once are each other's company, crash after crash.
    is_puzzling = kinds & (_BLINDING | _LIKE_POISON) or len(poisons) > 1
    crashes_max = _CRASHES_MAX if is_puzzling else _SEEN_CRASHES_MAX
    for prompt, crashes in weather.poisoned.items():
        if crashes > crashes_max:
            raise BrokenError(f"{prompt} killed {crashes} engines")
    if kinds & _LIKE_POISON or len(poisons) > 1:
        return  # one that was beside a poison and then beside another looks like one itself
    for kept in router.core.snapshot(router.clock.now).quarantined:
        if kept.fingerprint not in poisons:
            raise BrokenError(f"{kept.fingerprint}, which kills nothing, is in quarantine")


def _check_hedges(storm: Storm, router: StormRouter, now: int) -> None:
    """Both budgets of hedges are kept."""
    slo = storm.fleet.slo_classes[0]
    classes = len({name for fleet in storm.fleets for name in fleet.slo_names})
    bursts = _HEDGE_BURST * classes
    hedges_max = bursts * bool(slo.hedge_share) + slo.hedge_share * len(router.turns)
    if router.hedges > hedges_max:
        raise BrokenError(f"{router.hedges} hedges, above the budget of {hedges_max:.1f}")
    cap_usd = classes * slo.hedge_usd_per_hour * (0.25 + 0.75 * now / NS_PER_HOUR)
    if router.hedged_usd > cap_usd + _EPSILON_USD:
        raise BrokenError(f"hedges for {router.hedged_usd:.2f} $, above {cap_usd:.2f}")


def _check_counters(storm: Storm, router: StormRouter, weather: Weather, now: int) -> None:
    snapshot = router.core.snapshot(now)
    sites = [site.name for site in snapshot.sites]
    if sites != [site.name for site in storm.fleet.sites]:
        raise BrokenError(f"the sites are {sites} in the end")
    if snapshot.open_streams:
        raise BrokenError(f"{snapshot.open_streams} streams are counted open and none is")
    for end in itertools.chain.from_iterable(site.endpoints for site in snapshot.sites):
        if end.in_flight:
            raise BrokenError(f"{end.in_flight} requests are counted in flight at {end.name}")
    for engine in weather.engines.values():
        if engine.jobs:
            raise BrokenError(f"{engine.jobs} requests that nobody waits for run at {engine.name}")


def _check_budgets(storm: Storm, router: StormRouter, now: int) -> None:
    limits = storm.fleet.limits
    retry_burst = max(fleet.limits.retry_burst for fleet in storm.fleets)
    resume_burst = max(fleet.limits.resume_burst for fleet in storm.fleets)
    snapshot = router.core.snapshot(now)
    retries_max = retry_burst + limits.retry_ratio * snapshot.decided + router.lost_attempts
    if snapshot.retried > retries_max:
        raise BrokenError(f"{snapshot.retried} retries, above the budget of {retries_max:.0f}")
    resumes_max = resume_burst + snapshot.decided
    if snapshot.resumed > resumes_max:
        raise BrokenError(f"{snapshot.resumed} resumes, above the budget of {resumes_max}")
    if snapshot.sessions > limits.sessions_max:
        raise BrokenError(f"{snapshot.sessions} sessions, above {limits.sessions_max}")
    for turn in router.turns.values():
        if turn.resumes > limits.resumes_max:
            raise BrokenError(f"{turn.ask.id} went on {turn.resumes} times")
        if turn.attempts > (turn.resumes + 1) * limits.attempts_max:
            raise BrokenError(f"{turn.ask.id} was tried {turn.attempts} times")
    for state in snapshot.sites:
        price = storm.fleet.site(state.name).price
        # What ran while the router was suspended ran on, and nobody could have stopped it.
        unseen_usd = len(state.endpoints) * storm.suspended_ns * price.metered_usd_per_replica_hour
        unseen_usd /= NS_PER_HOUR
        budgets = [
            one.price.budget_usd_per_hour
            for fleet in storm.fleets
            for one in fleet.sites
            if one.name == state.name
        ]
        cap_usd = max((one for one in budgets if one is not None), default=None)
        if None not in budgets and cap_usd is not None and state.spend_usd > cap_usd + unseen_usd:
            raise BrokenError(f"{state.spend_usd:.2f} $ spent at {state.name}, above {cap_usd:.2f}")
