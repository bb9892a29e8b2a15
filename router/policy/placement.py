"""The rules that place a request, in their order.

1. Home first. While a home endpoint is predicted to meet the objective with the class's confidence,
   the request goes to one, unless rented capacity that is paid for anyway, and so costs as little,
   would be better by a quarter of the objective: sooner, or with less harm to the streams there.
   Under pressure, what has little or nothing cached at home leaves a little earlier
   (`router.policy.strain`), so that what has much finds room.
2. A session stays where it is while that is good enough, at home or elsewhere.
3. Spill-back. An overflowed session returns when home is predicted to be well within the objective,
   has been calm for a while, the session has not just moved, and when returning saves more over
   the turns to come than prefilling the lost cache again costs.
4. Overflow. When home would miss, the cheapest rented endpoint that meets the objective; but a
   session with much cached stays as long as home is more likely than not to be in time.
5. When nobody is sure to meet it, whoever is expected to, by the least of time and work, without
   slowing the streams that are there beyond their own objective; else the earliest.

Among endpoints that cannot be told apart, given how old their reports are, chance decides: routers
that share a late view must not all make the same choice. For a session it is a hash of its name and
the endpoint's (`router.policy.rendezvous`) that does: as even as chance over many sessions, and the
same on every router that one of them reaches.
"""

import random
from collections.abc import Callable
from operator import attrgetter

from router.policy.candidate import Candidate
from router.policy.fleet import Limits
from router.policy.need import Need
from router.policy.rendezvous import weight_of
from router.policy.rule import Rule
from router.policy.strain import Strain
from router.policy.units import NS_PER_MS

_ALIKE_NS = 2 * NS_PER_MS  # differences that no client notices
_ALIKE_SHARE = 0.05
_PRICE_ALIKE = 1.05
_score = attrgetter("score_ns")
_FREE_GAIN = 0.25  # of the objective, by which free capacity elsewhere must be sooner than home
_FREE_LOSS_NS = 50 * NS_PER_MS  # a cache so cheap to make again is no reason to stay away


def choose(
    need: Need,
    able: list[Candidate],
    strain: Strain,
    limits: Limits,
    now: int,
    rng: random.Random,
) -> tuple[Candidate, Rule]:
    """The candidate that the rules choose among those that can be chosen, of which there is one."""
    if len(able) == 1 and able[0].home:
        return able[0], Rule.ONLY
    name = need.placed.name if need.placed is not None else None
    placed: Candidate | None = None
    home: list[Candidate] = []
    rented: list[Candidate] = []
    for candidate in able:
        if candidate.endpoint == name:
            placed = candidate
        if candidate.meets_objective:
            (home if candidate.home else rented).append(candidate)
    if placed is not None and not placed.home and placed.meets_objective:
        back = _pick(home, None, need, rng) if home else None
        if back is not None and _may_return(back, placed, need, strain, limits, now):
            return back, Rule.SPILL_BACK
        return placed, Rule.STICKY
    if home:
        best = _pick(home, placed, need, rng)
        most_ns = strain.share_at(best.cached_tokens, now) * need.objective_ns
        if not rented or best.ttft_ns <= most_ns:
            return _home_or_free(best, rented, placed, need, rng)
    if rented:
        return _overflow(rented, placed, need, rng)
    return _least_bad(able, placed, need, rng), Rule.LEAST_BAD


def _home_or_free(
    best: Candidate,
    rented: list[Candidate],
    placed: Candidate | None,
    need: Need,
    rng: random.Random,
) -> tuple[Candidate, Rule]:
    """Home's best, if none of what is as cheap is far better."""
    free = _sooner_free(rented, best, need.objective_ns)
    if free:
        return _pick(free, None, need, rng, _whole), Rule.OVERFLOW
    return best, Rule.STICKY if best is placed else Rule.HOME


def _sooner_free(rented: list[Candidate], home: Candidate, objective_ns: int) -> list[Candidate]:
    """Rented capacity that is paid for anyway and far better than home, for all that are there.

    It is sunk cost as home is, and to wait at home beside it would serve nobody. What a prefill
    takes from the streams beside it counts as time of this request: that is what keeps long
    prompts away from a home full of streams while idle replicas stand beside it.
    """
    enough_ns = _whole(home) - _FREE_GAIN * objective_ns
    return [c for c in rented if c.sunk and _whole(c) < enough_ns]


def _overflow(
    rented: list[Candidate], placed: Candidate | None, need: Need, rng: random.Random
) -> tuple[Candidate, Rule]:
    """The cheapest; but nothing dear is thrown away for a miss that is no more than possible."""
    other = _cheapest(rented, need, rng)
    if placed is not None and placed.flows and placed.expected_ns <= need.objective_ns:
        loss_ns = other.prefill_ns - placed.prefill_ns
        if loss_ns > _FREE_LOSS_NS:
            return placed, Rule.STICKY
    return other, Rule.OVERFLOW


def _may_return(
    back: Candidate, placed: Candidate, need: Need, strain: Strain, limits: Limits, now: int
) -> bool:
    dwell_ns = limits.spill_back_dwell_ns
    if strain.calm_ns(need.slo.name, now) < dwell_ns:
        return False
    if need.session is None or need.placed is None or now - need.session.moved_ns < dwell_ns:
        return False
    if back.ttft_ns > limits.spill_back_margin * need.objective_ns:
        return False
    lost_ns = back.prefill_ns - placed.prefill_ns
    saved_ns = float(placed.network_ns - back.network_ns)
    usd_per_ns = need.placed.site.spend.usd_per_ns
    if placed.price_usd > 0.0 and usd_per_ns > 0.0:
        saved_ns += placed.price_usd / usd_per_ns  # a metered replica's time
    return lost_ns <= _FREE_LOSS_NS + need.turns_ahead * max(0.0, saved_ns)


def _whole(candidate: Candidate) -> int:
    return candidate.score_ns + candidate.burden_ns


def _pick(
    candidates: list[Candidate],
    placed: Candidate | None,
    need: Need,
    rng: random.Random,
    key: Callable[[Candidate], int] = _score,
) -> Candidate:
    if len(candidates) == 1:
        return candidates[0]
    best = min(candidates, key=key)
    reach = key(best) + best.doubt_ns + max(_ALIKE_NS, int(_ALIKE_SHARE * best.ttft_ns))
    alike = [c for c in candidates if key(c) - c.doubt_ns <= reach]
    if placed is not None and placed in alike:
        return placed
    if len(alike) == 1:
        return best
    session = need.request.session
    if session:
        return max(alike, key=lambda candidate: weight_of(session, candidate.endpoint))
    return alike[int(rng.random() * len(alike))]


def _cheapest(rented: list[Candidate], need: Need, rng: random.Random) -> Candidate:
    if len(rented) == 1:
        return rented[0]
    most = min(c.price_usd for c in rented) * _PRICE_ALIKE
    return _pick([c for c in rented if c.price_usd <= most], None, need, rng)


def _least_bad(
    able: list[Candidate], placed: Candidate | None, need: Need, rng: random.Random
) -> Candidate:
    timely = [c for c in able if c.expected_ns <= need.objective_ns]
    flowing = [c for c in timely if c.flows]
    return _pick(flowing or timely or able, placed, need, rng)
