"""The planner's sessions: from a trace, or drawn from a rate's shape and lengths' distributions."""

import csv
import math
from collections.abc import Iterator
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

from router.policy.units import ns
from router.sim.plan import SimSession, SimTurn

_NAMES_OF_A_SESSION = 1 << 20  # more blocks than any conversation has
_SPREAD = 1.0  # of the logarithm of a length: the longest of a hundred is ten times the middle one


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


def drawn(
    path: Path, prompt_tokens: float, output_tokens: float, speed: float
) -> Iterator[SimSession]:
    """Single turns at rates that a file gives, `speed` times as many. ValueError for a bad file.

    The file is CSV with a header and two columns: an offset in seconds, and turns per second from
    there on; the last row ends it. Arrivals are Poisson, lengths log-normal with these means.
    """
    rng = Random(0)
    points = _rates(path)
    index = 0
    for (begin_s, per_s), (end_s, _) in pairwise(points):
        at_s = begin_s
        while per_s > 0 and (at_s := at_s + rng.expovariate(per_s * speed)) < end_s:
            lengths = (_length(prompt_tokens, rng), _length(output_tokens, rng))
            yield SimSession(f"drawn-{index}", ns(at_s - points[0][0]), (SimTurn(*lengths),))
            index += 1


def _rates(path: Path) -> list[tuple[float, float]]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.reader(file) if row and not row[0].startswith("#")][1:]
    try:
        points = [(float(row[0]), float(row[1])) for row in rows]
    except (ValueError, IndexError) as error:
        raise ValueError(
            f"{path}: expected rows of seconds and turns per second: {error}"
        ) from error
    if len(points) < 2 or any(later <= at for (at, _), (later, _) in pairwise(points)):
        raise ValueError(f"{path}: expected two rows or more, in the order of their seconds")
    return points


def _length(mean: float, rng: Random) -> int:
    return max(1, round(rng.lognormvariate(math.log(mean) - _SPREAD**2 / 2, _SPREAD)))
