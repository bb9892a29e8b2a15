"""How long an audit log is kept, and what stands in it for what is kept no longer.

A full file may be removed when there are more than so many, and not before it is old enough: who
may act cannot have the record of it pushed out by acting again and again. Before one is removed
the chain says which: the number and digest of its last record, so that the rest is still known to
follow it, and the digest of the file, so that a copy elsewhere is known to be it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Any, Final

from router.audit.record import Head, RecordError, TornError, opened

PRUNED: Final = "pruned"
"""The action of a record that stands for files which are no longer there."""

AT_ONCE_MAX: Final = 100
"""Files, each of which one record names."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """How many full files there may be, and the age in seconds before which none is removed."""

    files_max: int = 64
    kept_s: float = 30 * 86_400.0


class TooMuchError(Exception):
    """There are as many files as there may be, and none is old enough; the message is one line."""


def prunable(full: Sequence[Path], keeping: Keeping, now_unix_s: float) -> list[Path]:
    """Of a log's full files, oldest first, those that make room for one more.

    Raises TooMuchError where one of those is too young, and OSError.
    """
    over = list(full[: min(AT_ONCE_MAX, max(0, len(full) + 1 - keeping.files_max))])
    for path in over:
        if now_unix_s - path.stat().st_mtime < keeping.kept_s:
            days = keeping.kept_s / 86_400.0
            raise TooMuchError(
                f"there are {len(full)} full files, of which none of the last {days:g} days may be"
                " removed: move the oldest elsewhere, or raise router.audit.files_max"
            )
    return over


def checkpoint(over: Sequence[Path], then: Path, secret: bytes | None) -> dict[str, Any]:
    """What a record says before these files are removed; `then` is the file that follows them.

    Raises RecordError where that one is not what was written, and OSError.
    """
    last = _followed_by(then, secret)
    files = []
    for path in over:
        with path.open("rb") as content:
            files.append({"file": path.name, "sha256": file_digest(content, "sha256").hexdigest()})
    before = {"number": last.number, "digest": last.digest, "files": files}
    return {"action": PRUNED, "stage": "done", "before": before}


def accounts_for(record: dict[str, Any], head: Head) -> bool:
    """Whether a record says that everything up to this head was removed.

    It may say so of more: of several files the first ones are gone where the process died amid it.
    """
    said = record.get("before")
    if record.get("action") != PRUNED or not isinstance(said, dict):
        return False
    number = said.get("number")
    if number == head.number:
        return said.get("digest") == head.digest
    return isinstance(number, int) and head.number < number


def _followed_by(path: Path, secret: bytes | None) -> Head:
    """What the first record of a file follows."""
    with path.open("rb") as lines:
        for line in lines:
            try:
                record = opened(line, secret)
            except TornError:
                continue
            return Head(record["number"] - 1, record["previous"])
    raise RecordError(f"{path}: has no record")
