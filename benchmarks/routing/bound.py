"""The clairvoyant bound of a scenario: what no policy can exceed, however much it knows.

A relaxed optimum. Lengths and arrivals are known beforehand, nothing is far away, every prefix is
cached that anybody had before, work is divided at will over the replicas of one kind, and what
cannot be served in time is refused at once. What stays is what each replica can do in a second: a
request needs its uncached prefill between its arrival and the objective of its first token, and its
decode steps before the gaps between tokens would be too long. Replicas that are dead or lent away
do nothing. How many requests can be served under these alone is a linear program; what is returned
is the value of its dual at good prices (`benchmarks.routing.dual`), so it bounds every policy
whether the prices are the best or not.

Two things are taken as given: an engine does not stop a stream that it has begun, and a session's
next turn comes no later than if each turn before it had just kept its objectives.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.routing.dual import SLOT_S, Array, Demand, served_at_most
from benchmarks.routing.setup import Setup
from router.policy.fleet import Fleet
from router.policy.units import NS_PER_S, seconds
from router.sim.plan import SimSession, SimTurn
from router.sim.profile import PS_PER_NS, Profile

BOUND = "clairvoyant"
_PS_PER_S = PS_PER_NS * NS_PER_S
_SLOW_SHARE = 0.05  # of a stream's gaps may be longer than the objective
_SLOWEST = 5.0  # times the objective that a full step of these engines may take at most


@dataclass(frozen=True, slots=True)
class _Needed:
    """What one turn needs at one kind of replica, in seconds of it."""

    prefill_s: float
    decode_s: float


def bound_of(setup: Setup, sessions: Iterable[SimSession]) -> tuple[int, float]:
    """The turns of a load, and the most that can keep their objectives."""
    kinds = _kinds(setup)
    rows = list(_rows(setup, sessions, list(kinds)))
    if not rows:
        return 0, 0.0
    columns = np.asarray(rows, dtype=float).T
    count = len(kinds)
    demand = Demand(
        begins_s=columns[0],
        first_by_s=columns[1],
        last_by_s=columns[2],
        prefill_s=columns[3 : 3 + count],
        decode_s=columns[3 + count :],
    )
    slots = int(columns[2].max() / SLOT_S) + 2
    capacity = np.stack([_capacity(setup, names, slots) for names in kinds.values()])
    return len(rows), served_at_most(demand, capacity)


def _kinds(setup: Setup) -> dict[Profile, list[str]]:
    """The replicas by their hardware."""
    kinds: dict[Profile, list[str]] = {}
    for name, _, profile in setup.replicas:
        kinds.setdefault(profile, []).append(name)
    return kinds


def _capacity(setup: Setup, names: list[str], slots: int) -> Array:
    """Seconds of these replicas in each slot; capacity on notice still counts."""
    seconds_of = np.full(slots, len(names) * SLOT_S)
    edges = np.arange(slots + 1) * SLOT_S
    world = setup.world
    gone = [(f.replica, f.at_ns, f.at_ns + f.down_ns) for f in world.faults]
    gone += [(one.replica, one.at_ns + one.notice_ns, one.until_ns) for one in world.lends]
    for replica, from_ns, to_ns in gone:
        if replica in names:
            begin, end = (
                np.maximum(edges[:-1], seconds(from_ns)),
                np.minimum(edges[1:], seconds(to_ns)),
            )
            seconds_of -= np.maximum(0.0, end - begin)
    left: Array = np.maximum(seconds_of, 0.0)
    return left


def _rows(
    setup: Setup, sessions: Iterable[SimSession], kinds: list[Profile]
) -> Iterator[tuple[float, ...]]:
    """Of each turn: when it comes, by when its tokens must, and what it needs of each kind."""
    block_tokens, seen = setup.world.block_tokens, set[int]()
    for session in sessions:
        earliest_s = latest_s = seconds(session.at_ns)
        for turn in session.turns:
            earliest_s += seconds(turn.think_ns)
            latest_s += seconds(turn.think_ns)
            first_s, last_s = _allowed_s(setup.fleet, session.slo, turn)
            full = turn.blocks[: turn.prompt_tokens // block_tokens]
            known = next((i for i, block in enumerate(full) if block not in seen), len(full))
            seen.update(turn.blocks)
            needs = [_needed(turn, known * block_tokens, kind) for kind in kinds]
            yield (
                earliest_s,
                latest_s + first_s,
                latest_s + last_s,
                *(need.prefill_s for need in needs),
                *(need.decode_s for need in needs),
            )
            latest_s += last_s


def _allowed_s(fleet: Fleet, slo_name: str, turn: SimTurn) -> tuple[float, float]:
    """How long the first and the last token may take."""
    slo = fleet.slo(slo_name)
    first_s = seconds(slo.ttft_objective_ns(turn.prompt_tokens))
    gap_s = seconds(slo.itl_ns) * (1.0 + _SLOW_SHARE * (_SLOWEST - 1.0))
    return first_s, first_s + gap_s * (turn.output_tokens - 1)


def _needed(turn: SimTurn, known_tokens: int, kind: Profile) -> _Needed:
    """The least that a turn adds to the steps of an engine, its share of their fixed part too.

    A step holds `step_tokens_max` tokens and `seqs_max` sequences at most, and its fixed part is no
    less than these shares of it together.
    """
    end = turn.prompt_tokens
    known = min(known_tokens, end - 1)  # the last token is always computed
    steps, seqs = kind.step_tokens_max, kind.seqs_max
    fixed = kind.prefill_base_ps / steps
    more = max(0.0, kind.decode_base_ps - fixed * (steps - seqs)) / seqs
    prefill_ps = (kind.prefill_token_ps + fixed) * (end - known)
    prefill_ps += kind.prefill_pair_ps * (end * end - known * known)
    made = turn.output_tokens - 1
    decode_ps = (kind.decode_seq_ps + min(fixed, more)) * made
    decode_ps += kind.decode_context_ps * (made * end + made * made / 2)
    return _Needed(prefill_ps / _PS_PER_S, decode_ps / _PS_PER_S)
