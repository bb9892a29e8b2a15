"""A response of server-sent events that begins with the first of them.

Until then the status is open: a request that is refused after it waited gets its own.
"""

import asyncio
from collections.abc import Callable, Mapping

from aiohttp import web


class EventResponse:
    """Written to by the tasks that answer a request."""

    def __init__(self, request: web.Request, headers: Callable[[], Mapping[str, str]]) -> None:
        """`headers` are read when it begins."""
        self._request = request
        self._headers = headers
        self._response = web.StreamResponse(
            headers={
                "Content-Type": "text/event-stream; charset=utf-8",
                "Cache-Control": "no-cache",
                "X-Accel-Buffering": "no",  # nginx would gather events
            }
        )
        self._beginning = asyncio.Lock()

    @property
    def begun(self) -> bool:
        """Whether the client has the status."""
        return self._response.prepared

    async def write(self, events: bytes) -> None:
        """Sends events, and waits where the client is slow. ConnectionError where it has gone."""
        if not self._response.prepared:
            async with self._beginning:
                if not self._response.prepared:
                    self._response.headers.update(self._headers())
                    await self._response.prepare(self._request)
        await self._response.write(events)

    async def end(self) -> web.StreamResponse:
        """Nothing follows."""
        await self._response.write_eof()
        return self._response
