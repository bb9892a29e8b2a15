"""A chain of records, read line by line: whether each follows from the one before.

A process that is killed in the middle of a line leaves its beginning. Nobody was told that what it
says was done; it stays, and the next process seals it: a record right behind it says how long it is
and what its digest is, and the same of whatever a second kill left. Anything else that is no record
breaks the chain.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from router.audit.record import LINE_BYTES_MAX, Head, RecordError, TornError, opened

TORN_BYTES_MAX = 2 * LINE_BYTES_MAX
"""What may be cut off: a line, and lines that were to seal it."""

SEALED = "sealed"
"""The action of a record that accounts for the torn line before it."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A record and the line, from 1, that it stands in."""

    line: int
    record: dict[str, Any]


class Chain:
    """Reads one file, or several of one log in their order."""

    def __init__(self, secret: bytes | None, head: Head | None = None) -> None:
        """`head` is what the first line follows; None: whatever it says that it follows."""
        self._secret = secret
        self.head = head
        self.torn = b""  # what was cut off, and not accounted for yet
        self.why = ""

    def read(self, lines: Iterable[bytes]) -> Iterator[Checked]:
        """The records of a file. RecordError, with the line, where the chain is broken."""
        for number, line in enumerate(lines, start=1):
            try:
                record = self._next(line)
            except RecordError as error:
                raise RecordError(f"{number}: {error}") from None
            if record is not None:
                yield Checked(number, record)

    def _next(self, line: bytes) -> dict[str, Any] | None:
        try:
            record = opened(line, self._secret)
        except TornError as error:
            if len(self.torn) + len(line) > TORN_BYTES_MAX:
                raise
            self.torn += line
            self.why = self.why or str(error)
            return None
        head = self.head
        if head is not None and record["previous"] != head.digest:
            raise RecordError("does not follow the record before it: some are missing or changed")
        if head is not None and record["number"] != head.number + 1:
            raise RecordError(f"is number {record['number']}, and should be {head.number + 1}")
        if self.torn and not _seals(record, self.torn):
            raise RecordError(f"the line before {self.why}, and this one does not account for it")
        self.torn, self.why = b"", ""
        self.head = Head(record["number"], record["digest"])
        return record


def seal_of(torn: bytes) -> dict[str, Any]:
    """What a sealing record says of what was cut off."""
    return {"bytes": len(torn), "sha256": sha256(torn).hexdigest()}


def _seals(record: dict[str, Any], torn: bytes) -> bool:
    return record.get("action") == SEALED and record.get("before") == seal_of(torn)
