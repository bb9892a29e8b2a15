"""The planner's sessions: from a trace, or drawn from a rate's shape and lengths' distributions.

Both can be gone through again and again, and give the same each time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

from router.policy.units import ns
from router.sim.plan import SimSession, SimTurn
from spillway.planning.lengths import Lengths, read_columns

_NAMES_OF_A_SESSION = 1 << 20  # more blocks than any conversation has


@dataclass(frozen=True, slots=True)
class Recorded:
    """The sessions of a trace, arriving `speed` times as fast.

    A conversation whose trace names no blocks shares its history from turn to turn. Going through
    it raises ValueError for a bad file.
    """

    path: Path
    block_tokens: int
    speed: float = 1.0

    def __iter__(self) -> Iterator[SimSession]:
        # By name, as `spillway bench` runs the harness: the library stands without its benchmarks.
        reader = import_module("benchmarks.workloads.traces")
        for index, session in enumerate(reader.read_trace(self.path, rng=Random(0))):
            yield SimSession(
                id=session.id,
                at_ns=ns(session.at_s / self.speed),
                turns=tuple(_turn(session, one, index, self.block_tokens) for one in session.turns),
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


@dataclass(frozen=True, slots=True)
class Drawn:
    """Single turns at rates that a file gives, `speed` times as many.

    The file is CSV with a header and two columns: an offset in seconds, and turns per second from
    there on; the last row ends it. Where the first column's name is `minute`, they are minutes, and
    turns per minute. Further columns are for others. Arrivals are Poisson. Going through it raises
    ValueError for a bad file.
    """

    rates: Path
    prompt: Lengths
    answer: Lengths
    speed: float = 1.0

    def __iter__(self) -> Iterator[SimSession]:
        rng = Random(0)
        points = _rates(self.rates)
        index = 0
        for (begin_s, per_s), (end_s, _) in pairwise(points):
            at_s = begin_s
            while per_s > 0 and (at_s := at_s + rng.expovariate(per_s * self.speed)) < end_s:
                turn = SimTurn(self.prompt.draw(rng), self.answer.draw(rng))
                yield SimSession(f"drawn-{index}", ns(at_s - points[0][0]), (turn,))
                index += 1


def _rates(path: Path) -> list[tuple[float, float]]:
    """Seconds and turns per second."""
    header, rows = read_columns(path)
    unit_s = 60.0 if header == "minute" else 1.0
    points = [(at * unit_s, rate / unit_s) for at, rate in rows]
    if len(points) < 2 or any(later <= at for (at, _), (later, _) in pairwise(points)):
        raise ValueError(f"{path}: expected two rows or more, in the order of their offsets")
    if any(rate < 0 for _, rate in points):
        raise ValueError(f"{path}: a rate is at least 0")
    return points
