"""The file of answers: one line for each request, whatever interrupts the batch, how often it may.

A line is written at once, whole, by one process that holds the file's lock. What a crash leaves of
a line has no end of line: it is cut off when the batch goes on, and its request is asked again.
"""

import fcntl
import json
import os
import stat
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

from spillway.batch.errors import BatchError
from spillway.batch.line import BadLineError, as_object, mark

ANSWER_BYTES_MAX: Final = 64 << 20
"""Of one answer as it came; as a line it is little longer."""

_LINE_BYTES_MAX: Final = 2 * ANSWER_BYTES_MAX


class Results:
    """Lines of answers; `done` has the mark of each request that has one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._failed = ""  # why nothing more is written: a line may have stopped in its middle
        self.done: set[bytes] = set()
        self.failed = 0  # of those

    def __enter__(self) -> Self:
        """Raises BatchError where the file is another batch's, or none of a batch's answers."""
        try:
            self._file = self._path.open("ab+", buffering=0)
        except OSError as error:
            raise BatchError(f"{self._path} cannot be written: {error.strerror}") from error
        try:
            self._take()
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        file = self._open()
        os.fsync(file.fileno())
        file.close()

    def add(self, custom_id: str, result: dict[str, Any]) -> None:
        """Writes the answer of a request. Raises BatchError where it cannot be written whole."""
        if self._failed:
            raise BatchError(self._failed)
        one = mark(custom_id)
        if one in self.done:
            raise ValueError(f"{custom_id!r} has an answer")
        line = json.dumps({"custom_id": custom_id, **result}, ensure_ascii=False).encode(
            errors="surrogatepass"
        )
        try:
            _write(self._open(), line + b"\n")
        except OSError as error:
            self._failed = f"{self._path} cannot be written: {error.strerror}"
            raise BatchError(self._failed) from error
        self.done.add(one)
        self.failed += _has_failed(result)

    def _open(self) -> BinaryIO:
        if self._file is None:
            raise ValueError("the file is not open")
        return self._file

    def _take(self) -> None:
        file = self._open()
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise BatchError(f"{self._path} is no regular file, to which a batch could come back")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise BatchError(f"another batch writes to {self._path}") from error
        file.seek(0)
        whole = 0
        with self._path.open("rb") as lines:
            number = 0
            while line := lines.readline(_LINE_BYTES_MAX + 1):
                number += 1
                if not line.endswith(b"\n") and len(line) <= _LINE_BYTES_MAX:
                    break  # what a crash left
                self._read(number, line)
                whole += len(line)
        file.truncate(whole)

    def _read(self, number: int, line: bytes) -> None:
        try:
            found = as_object(line, _LINE_BYTES_MAX)
        except BadLineError as error:
            raise BatchError(f"{self._path}:{number} is no answer of a batch: {error}") from error
        custom_id = found.get("custom_id")
        if not isinstance(custom_id, str) or not {"response", "error"} <= found.keys():
            raise BatchError(f"{self._path}:{number} is no answer of a batch: name another file")
        self.done.add(mark(custom_id))
        self.failed += _has_failed(found)


def _has_failed(result: dict[str, Any]) -> bool:
    response = result.get("response")
    return not isinstance(response, dict) or response.get("status_code") != 200


def _write(file: BinaryIO, line: bytes) -> None:
    """All of it: a file without a buffer may take less at once."""
    rest = memoryview(line)
    while rest:
        rest = rest[file.write(rest) :]
