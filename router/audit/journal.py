"""Writes the audit log of one process: a record is on the disk before anybody hears that it is.

The file belongs to one process at a time and to its user alone. It is begun anew when it is full,
the full one beside it under the number of its first record, until it is the oldest of too many
(`router.audit.pruning`). Whatever goes wrong with a write, the next one begins by reading what
there really is.
"""

import contextlib
import fcntl
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from router.audit.chain import SEALED, Chain, seal_of
from router.audit.pruning import Keeping, TooMuchError, checkpoint, prunable
from router.audit.record import Head, RecordError, sealed
from wire.durable import sync_folder

SECRET_BYTES_MIN: Final = 32
_SECRET_BYTES_MAX: Final = 4_096
_NUMBERED: Final = re.compile(r"\.\d{12}")


class AuditError(Exception):
    """The log cannot be written, or is not what was written; the message is one line."""


def read_secret(path: Path) -> bytes:
    """The secret in a file, without the white space around it. Raises AuditError."""
    try:
        with path.open("rb") as opened:
            secret = opened.read(_SECRET_BYTES_MAX + 1).strip()
    except OSError as error:
        raise AuditError(f"{path}: cannot be read: {error.strerror or error}") from error
    if not SECRET_BYTES_MIN <= len(secret) <= _SECRET_BYTES_MAX:
        raise AuditError(
            f"{path}: expected {SECRET_BYTES_MIN} to {_SECRET_BYTES_MAX} bytes;"
            " `openssl rand -hex 32` prints enough"
        )
    return secret


def journal_at(
    path: Path | None, bytes_max: int, secret_file: Path | None, keeping: Keeping
) -> "Journal | None":
    """The log at a path; None where there is none. Raises AuditError for a secret of no use."""
    if path is None:
        return None
    secret = None if secret_file is None else read_secret(secret_file)
    return Journal(path, bytes_max, secret, keeping)


def files_of(path: Path) -> list[Path]:
    """The files of a log, oldest first: the full ones, and the one that is written.

    OSError where nobody may look.
    """
    try:
        beside = [one for one in path.parent.iterdir() if one.name.startswith(path.name)]
    except FileNotFoundError:
        return []
    full = sorted(one for one in beside if _NUMBERED.fullmatch(one.name[len(path.name) :]))
    return [*full, path] if path in beside else full


class Journal:
    """The log at `path`. `append` may be called from any thread, by one at a time."""

    def __init__(
        self,
        path: Path,
        bytes_max: int,
        secret: bytes | None = None,
        keeping: Keeping | None = None,
        wall_s: Callable[[], float] = time.time,
    ) -> None:
        """`wall_s` is the clock by which files get old, in seconds since 1970."""
        self._path = path
        self._bytes_max = bytes_max
        self._secret = secret
        self._keeping = keeping or Keeping()
        self._wall_s = wall_s
        self._file: int | None = None
        self._lock: int | None = None
        self._size = 0
        self._first = 0  # the number of the file's first record; 0: it has none
        self.head = Head()

    def open(self) -> None:
        """Reads what there is and checks it. No effect where it is open. Raises AuditError."""
        if self._file is not None:
            return
        try:
            self._open()
        except OSError as error:
            self._drop()
            raise AuditError(f"{self._path}: {error.strerror or error}") from error
        except RecordError as error:
            self._drop()
            raise AuditError(
                f"{self._path}:{error}; keep it, move it away, and a new log is begun"
            ) from error

    def append(self, content: dict[str, Any]) -> Head:
        """Writes a record, and has the disk have it. Raises AuditError: then it does not count."""
        self.open()
        try:
            return self._append(content)
        except OSError as error:
            self._drop()
            raise AuditError(f"{self._path}: {error.strerror or error}") from error
        except (RecordError, TooMuchError) as error:
            raise AuditError(f"{self._path}: {error}") from error

    def close(self) -> None:
        """Lets another process write it."""
        self._drop()

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._take_lock()
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._file = os.open(self._path, flags, 0o600)
        os.fchmod(self._file, 0o600)
        self._size = os.fstat(self._file).st_size
        if not self._size:
            sync_folder(self._path.parent)
        elif os.pread(self._file, 1, self._size - 1) != b"\n":
            self._write(b"\n")  # a killed process did not finish its line
        chain = Chain(self._secret)
        numbers: list[int] = []
        for path in files_of(self._path)[
            -2:
        ]:  # the one before, too: the last may have no record yet
            with path.open("rb") as lines:
                numbers = [checked.record["number"] for checked in chain.read(lines)]
        self._first = numbers[0] if self._size and numbers else 0
        self.head = chain.head or Head()
        if chain.torn:
            self._append({"action": SEALED, "stage": "done", "before": seal_of(chain.torn)})

    def _append(self, content: dict[str, Any]) -> Head:
        line, head = sealed(self.head, content, self._secret)
        if self._size and self._first and self._size + len(line) > self._bytes_max:
            over = self._rotate()
            if over:
                self._prune(over)
                line, head = sealed(self.head, content, self._secret)
        return self._put(line, head)

    def _put(self, line: bytes, head: Head) -> Head:
        self._write(line)
        self._first = self._first or head.number
        self.head = head
        return head

    def _write(self, data: bytes) -> None:
        if self._file is None:
            raise OSError("the log is closed")
        written = os.write(self._file, data)
        if written != len(data):  # the disk is full: what there is of it is sealed later
            raise OSError(f"{written} of {len(data)} bytes could be written")
        os.fsync(self._file)
        self._size += written

    def _rotate(self) -> list[Path]:
        """Begins the file anew. Returns those that are to be removed, oldest first."""
        full = files_of(self._path)[:-1]
        over = prunable(full, self._keeping, self._wall_s())
        kept_at = self._path.with_name(f"{self._path.name}.{self._first:012d}")
        if os.path.lexists(kept_at):  # no record is written over another
            raise FileExistsError(f"{kept_at.name} is in the way of this full file: move it away")
        if self._file is not None:
            os.close(self._file)
            self._file = None
        self._path.rename(kept_at)
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._file = os.open(self._path, flags, 0o600)
        sync_folder(self._path.parent)
        self._size = self._first = 0
        return over

    def _prune(self, over: list[Path]) -> None:
        """Removes full files, when the disk has the record that stands for them."""
        then = files_of(self._path)[len(over)]
        self._put(*sealed(self.head, checkpoint(over, then, self._secret), self._secret))
        for path in over:
            path.unlink()
        sync_folder(self._path.parent)

    def _take_lock(self) -> None:
        if self._lock is not None:
            return
        path = self._path.with_name(f"{self._path.name}.lock")
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise OSError("another process writes this audit log") from None
        self._lock = lock

    def _drop(self) -> None:
        for held in (self._file, self._lock):
            if held is not None:
                with contextlib.suppress(OSError):
                    os.close(held)
        self._file = self._lock = None
