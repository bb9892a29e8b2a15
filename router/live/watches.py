"""How many calls may go on until their caller leaves: each costs a timer as long as it likes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from router.policy.units import NS_PER_S
from wire.status import overloaded

_RETRY_AFTER_NS: Final = 10 * NS_PER_S


class Watches:
    """Counts those of one kind."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """Counts one for as long as it is open. Raises CallError (RESOURCE_EXHAUSTED)."""
        if self._open >= self._most:
            raise overloaded(
                f"{self._open} such calls are open, the most that are taken"
                " (connections.watches_max)",
                _RETRY_AFTER_NS,
            )
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1
