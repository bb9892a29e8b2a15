"""Attempts that were given up at one endpoint, until it has been told to end them.

Their calls are cancelled, which a process that was stopped, or whose link is cut, does not hear.
It would generate for nobody once it goes on; so it is told by id, as soon as it answers.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from router.live import background
from router.live.backoff import Backoff

_ABANDONED_MAX: Final = 1_024
"""What an endpoint runs at most, several times over; beyond it the oldest are forgotten."""

_TIMEOUT_S: Final = 2.0

Abort = Callable[[list[str], float], Awaitable[bool]]
"""Ends requests by their ids, within a time; False where nobody answers."""


class Abandoned:
    """The ids, and the task that tells them while there are any."""

    def __init__(self, abort: Abort, endpoint: str) -> None:
        self._abort = abort
        self._endpoint = endpoint
        self._ids: dict[str, None] = {}
        self._telling: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, request_id: str) -> None:
        """An attempt was given up."""
        self._ids[request_id] = None
        if len(self._ids) > _ABANDONED_MAX:
            del self._ids[next(iter(self._ids))]
        if self._telling is None or self._telling.done():
            self._telling = background.begin(self._tell(), f"abort at {self._endpoint}")

    async def close(self) -> None:
        """The endpoint is gone, and what ran there with it."""
        self._ids.clear()
        if self._telling is not None:
            await background.end(self._telling)

    async def _tell(self) -> None:
        backoff = Backoff(0.1, 2.0)
        while self._ids:
            ids = list(self._ids)
            if await self._abort(ids, _TIMEOUT_S):
                for request_id in ids:
                    self._ids.pop(request_id, None)
            else:
                await asyncio.sleep(backoff.wait_s())
