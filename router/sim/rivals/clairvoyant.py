"""The bound: what all capacity could do as one engine that knows everything.

All replicas are one pool: their speeds add up, for a single prompt too, and every step has the
shortest fixed part of any. Nothing is far away, nothing is ever evicted, so every prefix is cached
that could be. Every request's work is known when it arrives, and the queue is ordered by it: the
least uncached prefill first, which serves the most requests in time while there are too many.

It is what no placement can reach, as a prompt runs on one replica. It is not a proof: an order that
looks ahead may keep a request or two more, and pooled steps are shared by all, so a long prompt
slows everybody a little instead of one replica's streams a lot.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from router.sim.plan import Link, Scenario, SimSession
from router.sim.profile import Profile

_ROOM = 100  # times the cache: nothing is ever evicted


def pooled(profiles: Sequence[Profile]) -> Profile:
    """All these replicas as one."""
    return Profile(
        name=f"{len(profiles)} replicas as one",
        prefill_base_ps=min(p.prefill_base_ps for p in profiles),
        prefill_token_ps=_together([p.prefill_token_ps for p in profiles]),
        prefill_pair_ps=_together([p.prefill_pair_ps for p in profiles]),
        decode_base_ps=min(p.decode_base_ps for p in profiles),
        decode_seq_ps=_together([p.decode_seq_ps for p in profiles]),
        decode_context_ps=_together([p.decode_context_ps for p in profiles]),
        kv_blocks=_ROOM * sum(p.kv_blocks for p in profiles),
        block_tokens=profiles[0].block_tokens,
        seqs_max=sum(p.seqs_max for p in profiles),
        step_tokens_max=sum(p.step_tokens_max for p in profiles),
    )


def undisturbed(scenario: Scenario, site: str) -> Scenario:
    """The same world without distance, faults or prices."""
    return Scenario(
        links={site: Link(0)},
        block_tokens=scenario.block_tokens,
        report_interval_ns=None,
        slow_gap_ns=scenario.slow_gap_ns,
        seed=scenario.seed,
    )


def shortest_first(sessions: Iterable[SimSession], block_tokens: int) -> Iterator[SimSession]:
    """The same sessions; each turn is served by the tokens that nobody before it had.

    Sessions are looked at in the order of their beginnings.
    """
    seen: set[int] = set()
    for session in sessions:
        turns = []
        for turn in session.turns:
            full = turn.blocks[: turn.prompt_tokens // block_tokens]
            known = next((i for i, block in enumerate(full) if block not in seen), len(full))
            seen.update(turn.blocks)
            turns.append(replace(turn, priority=turn.prompt_tokens - known * block_tokens))
        yield replace(session, turns=tuple(turns))


def _together(costs: list[int]) -> int:
    """The time of a unit of work that all share, each as much as it can; 0 where any is free."""
    return round(1 / sum(1 / cost for cost in costs)) if min(costs) > 0 else 0
