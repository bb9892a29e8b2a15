"""What a ledger needs of a database, whichever it is.

Statements have `?` for their parameters, and are such that SQLite and PostgreSQL both take them.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol


class LedgerError(OSError):
    """The ledger cannot be opened, read or written; the message is one line."""


class Database(Protocol):
    """One connection, used from one thread at a time. Everything raises LedgerError."""

    def transaction(self, *, alone: bool = False) -> AbstractContextManager[None]:
        """All that is executed within takes effect together and lasts, or not at all.

        No other transaction that is to be `alone` runs beside one that is.
        """
        ...

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Executes a statement; the rows of its answer."""
        ...

    def execute_many(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """Executes a statement once for each row of parameters."""
        ...

    def close(self) -> None:
        """Lets go of it, whatever state it is in."""
        ...
