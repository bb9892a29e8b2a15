"""The ledger in PostgreSQL, where several routers write to one.

A commit is acknowledged when the server has it on its disk (`synchronous_commit`, which is the
server's default, is set for the session). Statements have a time limit, and so has the connection:
a server that does not answer is a failure, and no hang.
"""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from router.ledger.database import LedgerError

_CONNECT_S: Final = 5
_STATEMENT_MS: Final = 10_000
_SILENCE_MS: Final = 10_000
"""What is sent and not acknowledged for so long by the server's machine has lost the connection."""

_LOCK: Final = 0x5350494C4C
"""Of transactions that are to be alone: an advisory lock of the database's, "SPILL"."""

_OPTIONS: Final = f"-c statement_timeout={_STATEMENT_MS} -c synchronous_commit=on"


class PostgresDatabase:
    """See Database."""

    def __init__(
        self, url: str, password_file: Path | None = None, *, read_only: bool = False
    ) -> None:
        """Raises LedgerError, also where the library is not installed."""
        try:
            import psycopg  # noqa: PLC0415 - an extra, for those who share
        except ImportError as error:
            raise LedgerError(
                'a ledger in PostgreSQL needs psycopg: pip install "spillway[postgres]"'
            ) from error
        self._errors = psycopg.Error, UnicodeError  # the latter of text that it cannot write
        try:
            more: dict[str, Any] = {}
            if password_file is not None:
                more["password"] = password_file.read_text().strip()
            self._connection: Any = psycopg.connect(
                url,
                autocommit=True,
                connect_timeout=_CONNECT_S,
                application_name="spillway ledger",
                options=_OPTIONS,
                tcp_user_timeout=_SILENCE_MS,
                **more,
            )
            self._connection.read_only = read_only
        except (OSError, *self._errors) as error:
            raise _failed(error) from error

    @contextlib.contextmanager
    def transaction(self, *, alone: bool = False) -> Iterator[None]:
        """See Database."""
        try:
            with self._connection.transaction():
                if alone:
                    self.execute("SELECT pg_advisory_xact_lock(?)", (_LOCK,))
                yield
        except self._errors as error:
            raise _failed(error) from error

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """See Database."""
        try:
            cursor = self._connection.execute(_translated(statement), parameters)
            return list(cursor.fetchall()) if cursor.description else []
        except self._errors as error:
            raise _failed(error) from error

    def execute_many(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """See Database."""
        try:
            with self._connection.cursor() as cursor:
                cursor.executemany(_translated(statement), rows)
        except self._errors as error:
            raise _failed(error) from error

    def close(self) -> None:
        """See Database."""
        with contextlib.suppress(*self._errors):
            self._connection.close()


def _translated(statement: str) -> str:
    """No statement of ours has a question mark or a percent sign for anything else."""
    return statement.replace("?", "%s")


def _failed(error: Exception) -> LedgerError:
    """In one line. The library's messages name host and user, and never the password."""
    return LedgerError(f"the ledger in PostgreSQL: {' '.join(str(error).split())}")
