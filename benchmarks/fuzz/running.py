"""Runs a target over many inputs, and watches what it takes of time and memory."""

import random
import resource
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final

from benchmarks.fuzz.mutation import Mutator
from benchmarks.fuzz.target import Target

HANG_S: Final = 10
"""For one input, on a busy machine: each takes microseconds, some a few milliseconds."""

GROWTH_MIB_MAX: Final = 64
"""Over what a target holds once it is warm. Tables that are bounded are full by then."""

_WARM: Final = 20_000  # inputs
_LOOK: Final = 50  # inputs between two looks at the clock of the run


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run found. `bad` is the input that `problem` came of."""

    target: str
    inputs: int
    seconds: float
    slowest_s: float
    grown_mib: float
    problem: str = ""
    bad: bytes = b""


class _HangError(BaseException):
    """An input took too long; nothing that catches errors catches it."""


def run(target: Target, inputs_max: int, seconds_max: float, seed: int) -> Outcome:
    """Every kept input, then made ones, until a find, or so many inputs, or so long."""
    kept = target.kept()
    mutator = Mutator(kept, target.words, random.Random(seed))
    began_s, slowest_s, count, warm_mib = time.perf_counter(), 0.0, 0, _held_mib()
    given = b""
    try:
        with _alarm():
            for given in _inputs(kept, mutator):
                if count % _LOOK == 0:
                    signal.alarm(HANG_S)
                    if time.perf_counter() - began_s > seconds_max:
                        break
                started_s = time.perf_counter()
                target.run(given)
                slowest_s = max(slowest_s, time.perf_counter() - started_s)
                count += 1
                if count == _WARM:
                    warm_mib = _held_mib()
                if count >= inputs_max:
                    break
        grown_mib = _held_mib() - warm_mib if count > _WARM else 0.0
        grew = grown_mib > GROWTH_MIB_MAX
        problem = f"memory grew by {grown_mib:.0f} MiB" if grew else ""
    except _HangError:
        problem, grown_mib = f"an input took more than {HANG_S} s", 0.0
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        problem, grown_mib = f"{type(error).__name__}: {str(error)[:200]}", 0.0
    took_s = time.perf_counter() - began_s
    bad = given if problem else b""
    return Outcome(target.name, count, took_s, slowest_s, grown_mib, problem, bad)


def keep(outcome: Outcome, folder: Path) -> Path:
    """Writes the input of a find, for the corpus; where it is."""
    path = folder / outcome.target / f"find-{hash(outcome.bad) & 0xFFFFFFFF:08x}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(outcome.bad)
    return path


def _inputs(kept: list[bytes], mutator: Mutator) -> Iterator[bytes]:
    yield b""
    yield from kept
    while True:
        yield mutator.next()


@contextmanager
def _alarm() -> Iterator[None]:
    def ring(_number: int, _frame: FrameType | None) -> None:
        raise _HangError

    before = signal.signal(signal.SIGALRM, ring)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _held_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 2**20
