"""The ledger in a file of SQLite's, in write-ahead mode.

Each commit is on the disk when it returns (`synchronous = FULL`), so that a loss of power takes no
more of it than a crash does. The file is its owner's alone. Several processes of one machine may
write to it in turns; on a network's file system its locks mean nothing.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from router.ledger.database import LedgerError

_BUSY_S: Final = 2.0
"""For how long another process may keep the file from us before that counts as a failure."""

_WAL_BYTES_MAX: Final = 64 * 1024 * 1024
"""What the write-ahead log is cut back to once it is taken over into the file."""

_FAILURES: Final = (sqlite3.Error, OverflowError, UnicodeError)
"""The latter two for values that it has no room for, which is no error of its own."""


class SqliteDatabase:
    """See Database."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Raises LedgerError."""
        self._path = path
        try:
            self._connection = _opened(path, read_only=read_only)
        except (OSError, sqlite3.Error) as error:
            raise self._failed(error) from error

    @contextlib.contextmanager
    def transaction(self, *, alone: bool = False) -> Iterator[None]:
        """See Database: the file has one writer at a time in any case."""
        _ = alone
        self.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            raise

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """See Database."""
        try:
            return self._connection.execute(statement, parameters).fetchall()
        except _FAILURES as error:
            raise self._failed(error) from error

    def execute_many(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """See Database."""
        try:
            self._connection.executemany(statement, rows)
        except _FAILURES as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """See Database."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()

    def _failed(self, error: Exception) -> LedgerError:
        return LedgerError(f"the ledger {self._path}: {error}")


def _opened(path: Path, *, read_only: bool) -> sqlite3.Connection:
    if read_only:
        uri = f"{path.absolute().as_uri()}?mode=ro"
        return sqlite3.connect(
            uri, uri=True, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    # Made by us with its mode; SQLite gives that of the file to those that it makes beside it.
    os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    path.chmod(0o600)
    connection = sqlite3.connect(
        path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES_MAX}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection
