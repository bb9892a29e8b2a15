"""What a site takes under load: fitted to a rehearsal, which is unlike the workload that follows.

Single streams and full batches show how a step grows with what is in it. They do not show what
everything takes while everything works: router, client and engines share processors, and an
engine's step holds up whoever wants to hand it a request. So single turns of other lengths arrive
through the router, live and simulated, and a few constants are moved until both worlds agree about
them: for each site the time of its steps, by the middle of the time per output token; and for all
of them what it takes to get there and back, and to be taken in, by the middle and the 95th
percentile of the time to first token. The latter are of the site with the most slots: at one that
is full, first tokens tell of its queue.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmarks.routing.sim_vs_live.compare import OneTurn, seen, simulate, told
from benchmarks.routing.sim_vs_live.site import Measured
from benchmarks.serving.record import Record
from benchmarks.serving.summary import quantile
from benchmarks.workloads.arrivals import constant, gamma
from benchmarks.workloads.plan import Session
from benchmarks.workloads.sessions import Shape, sessions
from router.policy.fleet import Fleet
from router.policy.units import ns

SHAPE = Shape(prompt_tokens=120, output_tokens=24)
LOAD = 0.5  # of what the sites are thought to serve at most
BURSTINESS = 1.0
ROUNDS = 12
TURNS_MIN = 10  # at a site, for its middle to mean something
_INTAKE_P50, _INTAKE_SPREAD = 0.693, 2.303  # of an exponential wait: p50, and from there to p95


@dataclass(frozen=True, slots=True)
class _Middle:
    """What both worlds are to agree about, in seconds."""

    ttft_p50_s: float
    ttft_p95_s: float
    token_s: dict[str, float]  # by site

    def distance(self, other: "_Middle") -> float:
        """The largest relative difference."""
        pairs = [(self.ttft_p50_s, other.ttft_p50_s), (self.ttft_p95_s, other.ttft_p95_s)]
        pairs += [(self.token_s[site], other.token_s[site]) for site in self._shared(other)]
        return max(abs(ours / theirs - 1) for ours, theirs in pairs)

    def token_ratio(self, other: "_Middle", site: str) -> float:
        """By how much tokens take longer at a site here than there.

        As much as elsewhere, in the mean, where the site had too few turns: all share a machine.
        """
        shared = self._shared(other)
        sites = [site] if site in shared else sorted(shared)
        ratios = [self.token_s[one] / other.token_s[one] for one in sites]
        return sum(ratios) / len(ratios) if ratios else 1.0

    def _shared(self, other: "_Middle") -> set[str]:
        return self.token_s.keys() & other.token_s.keys()


def rehearsal(measured: Sequence[Measured], duration_s: float, seed: int) -> list[Session]:
    """Single turns that arrive at random, at half of what the sites are thought to serve."""
    served = sum(one.turns_per_s(SHAPE.prompt_tokens, SHAPE.output_tokens) for one in measured)
    rng = random.Random(f"rehearsal {seed}")
    arrivals = gamma(constant(LOAD * served), BURSTINESS, rng)
    return list(sessions(arrivals, SHAPE, rng=rng, duration_s=duration_s, phase=f"r{seed}"))


def fitted(
    fleet: Fleet,
    measured: Sequence[Measured],
    plan: Sequence[Session],
    live: Sequence[Record],
    seed: int,
) -> list[Measured]:
    """The same sites, such that a simulated rehearsal is like the live one."""
    roomiest = max((one.site for one in measured), key=lambda site: site.slots).name
    wanted = _middle(seen(live), roomiest)
    found = best = list(measured)
    least = float("inf")
    for _ in range(ROUNDS):
        have = _middle(told(simulate(fleet, found, plan, seed)), roomiest)
        distance = have.distance(wanted)
        if distance < least:
            best, least = found, distance
        found = [_moved(one, have, wanted) for one in found]
    return best


def _moved(one: Measured, have: _Middle, wanted: _Middle) -> Measured:
    """A step towards what is wanted."""
    missing_s = wanted.ttft_p50_s - have.ttft_p50_s
    spread_s = (wanted.ttft_p95_s - wanted.ttft_p50_s) - (have.ttft_p95_s - have.ttft_p50_s)
    rtt_ns = one.link.rtt_ns + ns(missing_s)
    intake_ns = one.link.intake_ns + ns(spread_s / _INTAKE_SPREAD)
    if rtt_ns < 0:  # chance alone takes more than the middle: it has to give way
        intake_ns += int(rtt_ns / _INTAKE_P50)
    link = replace(one.link, rtt_ns=max(0, rtt_ns), intake_ns=max(0, intake_ns))
    return replace(one, link=link).slower(wanted.token_ratio(have, one.site.name))


def _middle(turns: Sequence[OneTurn], roomiest: str) -> _Middle:
    ttft_s = [turn.ttft_s for turn in turns if turn.site == roomiest]
    if len(ttft_s) < TURNS_MIN:
        ttft_s = [turn.ttft_s for turn in turns]
    tokens: dict[str, list[float]] = {}
    for turn in turns:
        if turn.token_s is not None:
            tokens.setdefault(turn.site, []).append(turn.token_s)
    return _Middle(
        quantile(ttft_s, 0.5),
        quantile(ttft_s, 0.95),
        {site: quantile(its, 0.5) for site, its in tokens.items() if len(its) >= TURNS_MIN},
    )
