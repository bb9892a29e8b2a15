"""Reads audit logs for people: whether they are whole, and what they say."""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from router.audit.chain import Chain
from router.audit.journal import files_of
from router.audit.pruning import accounts_for
from router.audit.record import FIRST, Head, RecordError


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of reading one log."""

    path: Path
    records: int
    first: int  # the number of the first record; 0: there is none
    head: Head
    problem: str = ""  # where and why the chain is broken; empty where it is whole
    pruned: int = 0  # records before the first that the log itself says were removed
    torn: int = 0  # bytes of a line at the end that nobody has accounted for yet

    @property
    def is_whole(self) -> bool:
        """Whether it is the end of a chain that nobody changed; it may have been shortened."""
        return not self.problem


def verify(
    path: Path, secret: bytes | None, expected: str = "", begins_at: int | None = None
) -> Verdict:
    """Reads a log with its full files beside it.

    `expected` is a head that the log is known to have had, from a place that who can write the file
    cannot write: the chain has to have it. A log whose beginning is missing has to say that it was
    removed, unless `begins_at` is the number of its first record.
    """
    chain, count, seen = Chain(secret), 0, not expected or expected == FIRST
    beginning, problem = _Beginning(), ""
    try:
        for file, checked in _checked(files_of(path), chain):
            count += 1
            if not beginning.first and checked["number"] == 1 and checked["previous"] != FIRST:
                problem = f"{file}:1: begins a log and follows something"
            beginning.see(checked)
            seen = seen or checked["digest"] == expected
        if chain.torn.endswith(b"\n"):
            problem = f"{path}: its last line {chain.why}"
    except RecordError as error:
        problem = str(error)
    except OSError as error:
        problem = f"{path}: cannot be read: {error.strerror or error}"
    if not problem and not count and not chain.torn:
        problem = f"{path}: there is no audit log"
    first, pruned = beginning.first, beginning.pruned
    problem = problem or beginning.problem(path, begins_at)
    if not problem and not seen:
        older = f", or is older than record {first}" if first > 1 else ""
        lost = f"its end is cut off, or it is another log{older}"
        problem = f"{path}: has no record {expected}: {lost}"
    return Verdict(path, count, first, chain.head or Head(), problem, pruned, len(chain.torn))


@dataclass(slots=True)
class _Beginning:
    """Where a log begins, and whether it says what became of the records before."""

    first: int = 0  # the number of its first record; 0: none was seen
    before: Head = field(default_factory=Head)  # what that one follows
    pruned: int = 0  # the records before it, where one further on accounts for them

    def see(self, record: dict[str, Any]) -> None:
        if not self.first:
            self.first = record["number"]
            self.before = Head(self.first - 1, record["previous"])
        if accounts_for(record, self.before):
            self.pruned = self.before.number

    def problem(self, path: Path, begins_at: int | None) -> str:
        if self.first <= 1 or self.pruned or begins_at == self.first:
            return ""
        return (
            f"{path}: begins with record {self.first}, and nothing in it says that those before"
            f" were removed; put their files back, or say --begins-at {self.first} if you keep"
            " them elsewhere"
        )


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
