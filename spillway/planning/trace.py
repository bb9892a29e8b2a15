"""A trace file as the planner's sessions, its blocks cut to the size of the engines' own."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any

from router.policy.units import ns
from router.sim.plan import SimSession, SimTurn

_NAMES_OF_A_SESSION = 1 << 20  # more blocks than any conversation has


def sessions_of(path: Path, block_tokens: int, speed: float) -> Iterator[SimSession]:
    """The sessions of a trace, arriving `speed` times as fast. Raises ValueError for a bad file.

    A conversation whose trace names no blocks shares its history from turn to turn.
    """
    # By name, as `spillway bench` runs the harness: the library stands without its benchmarks.
    reader = import_module("benchmarks.workloads.traces")
    for index, session in enumerate(reader.read_trace(path, rng=Random(0))):
        yield SimSession(
            id=session.id,
            at_ns=ns(session.at_s / speed),
            turns=tuple(_turn(session, turn, index, block_tokens) for turn in session.turns),
            slo=session.slo,
            tenant=session.tenant,
        )


def _turn(session: Any, turn: Any, index: int, block_tokens: int) -> SimTurn:
    blocks: tuple[int, ...] = ()
    if turn.blocks and session.block_tokens % block_tokens == 0:
        parts = session.block_tokens // block_tokens
        full = turn.prompt_tokens // block_tokens
        blocks = tuple(b * parts + part for b in turn.blocks for part in range(parts))[:full]
    elif len(session.turns) > 1:
        begin = -index * _NAMES_OF_A_SESSION - 1  # no trace counts downwards
        full = (turn.prompt_tokens + turn.output_tokens) // block_tokens
        blocks = tuple(range(begin, begin - full, -1))
    return SimTurn(turn.prompt_tokens, turn.output_tokens, ns(turn.think_s), blocks)
