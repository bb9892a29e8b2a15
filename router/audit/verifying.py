"""Reads audit logs for people: whether they are whole, and what they say."""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from router.audit.chain import Chain
from router.audit.journal import files_of
from router.audit.record import FIRST, Head, RecordError


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of reading one log."""

    path: Path
    records: int
    first: int  # the number of the first record; 0: there is none
    head: Head
    problem: str = ""  # where and why the chain is broken; empty where it is whole
    torn: int = 0  # bytes of a line at the end that nobody has accounted for yet

    @property
    def is_whole(self) -> bool:
        """Whether it is the end of a chain that nobody changed; it may have been shortened."""
        return not self.problem


def verify(path: Path, secret: bytes | None, expected: str = "") -> Verdict:
    """Reads a log with its full files beside it.

    `expected` is a head that the log is known to have had, from a place that who can write the file
    cannot write: the chain has to have it.
    """
    chain, count, first, seen = Chain(secret), 0, 0, not expected or expected == FIRST
    problem = ""
    try:
        for file, checked in _checked(files_of(path), chain):
            count += 1
            first = first or checked["number"]
            if checked["number"] == 1 and checked["previous"] != FIRST:
                problem = f"{file}:1: begins a log and follows something"
            seen = seen or checked["digest"] == expected
        if chain.torn.endswith(b"\n"):
            problem = f"{path}: its last line {chain.why}"
    except RecordError as error:
        problem = str(error)
    except OSError as error:
        problem = f"{path}: cannot be read: {error.strerror or error}"
    if not problem and not count and not chain.torn:
        problem = f"{path}: there is no audit log"
    if not problem and not seen:
        problem = f"{path}: has no record {expected}: its end is cut off, or it is another log"
    return Verdict(path, count, first, chain.head or Head(), problem, len(chain.torn))


def records(paths: Sequence[Path], secret: bytes | None) -> Iterator[dict[str, Any]]:
    """What logs say, each in its order, together by time. RecordError where one is broken."""
    each = ((record for _, record in _checked(files_of(path), Chain(secret))) for path in paths)
    yield from heapq.merge(*each, key=lambda one: int(one.get("unix_ns", 0)))


def _checked(files: Iterable[Path], chain: Chain) -> Iterator[tuple[Path, dict[str, Any]]]:
    for file in files:
        with file.open("rb") as lines:
            try:
                for checked in chain.read(lines):
                    yield file, checked.record
            except RecordError as error:
                raise RecordError(f"{file}:{error}") from None
