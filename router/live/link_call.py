"""One session of a link, as an upstream call."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

import grpc

from router.live.upstream import END
from wire.spillway.v1.link import CREDIT_BYTES
from wire.status import Metadata

_CREDIT_FROM: Final = CREDIT_BYTES // 2
"""So much has to be read before the endpoint is told: one word for a thousand tokens."""

_NOTHING: Final = grpc.aio.Metadata()


class LinkCall:
    """See UpstreamCall. Messages wait here until they are read: as many as the credit allows."""

    __slots__ = (
        "_cancelled",
        "_chunks",
        "_ended",
        "_error",
        "_on_cancel",
        "_on_credit",
        "_read_bytes",
        "_timer",
        "_trailers",
        "_uncredited_bytes",
        "_waiter",
        "number",
    )

    def __init__(
        self,
        number: int,
        timeout_s: float,
        on_credit: Callable[[int, int], None],
        on_cancel: Callable[[int], None],
    ) -> None:
        """`on_credit` hears of bytes that were read, `on_cancel` of an end from this side."""
        self.number = number
        self._on_credit = on_credit
        self._on_cancel = on_cancel
        self._chunks: deque[bytes] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._error: grpc.aio.AioRpcError | None = None
        self._trailers: Metadata = ()
        self._ended = False
        self._cancelled = False
        self._uncredited_bytes = 0  # that have come, and of which the endpoint was told nothing
        self._read_bytes = 0  # of them
        self._timer = asyncio.get_running_loop().call_later(timeout_s, self._expire)

    async def read(self) -> bytes | object:
        """See UpstreamCall."""
        while not self._chunks:
            if self._cancelled:
                raise asyncio.CancelledError
            if self._error is not None:
                raise self._error
            if self._ended:
                end: object = END
                return end
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        chunk = self._chunks.popleft()
        self._read_bytes += len(chunk)
        if self._read_bytes >= _CREDIT_FROM and not self._ended:
            self._on_credit(self.number, self._read_bytes)
            self._uncredited_bytes -= self._read_bytes
            self._read_bytes = 0
        return chunk

    async def trailing_metadata(self) -> Metadata:
        """See UpstreamCall."""
        return self._trailers

    def cancel(self) -> None:
        """See UpstreamCall."""
        if not self._ended:
            self._cancelled = True
            self._chunks.clear()
            self._finish()
            self._on_cancel(self.number)

    def push(self, chunk: bytes) -> None:
        """The next message has come."""
        if self._uncredited_bytes >= CREDIT_BYTES:
            self.end(grpc.StatusCode.INTERNAL, "the endpoint sent more than it had credit for")
            self._on_cancel(self.number)
            return
        self._uncredited_bytes += len(chunk)
        self._chunks.append(chunk)
        self._wake()

    def end(self, code: grpc.StatusCode, details: str, trailers: Metadata = ()) -> None:
        """The answer has ended. What has come of it can still be read."""
        if self._ended:
            return
        self._trailers = trailers
        if code is not grpc.StatusCode.OK:
            said = grpc.aio.Metadata(*trailers)
            self._error = grpc.aio.AioRpcError(code, _NOTHING, said, details=details)
        self._finish()

    def _expire(self) -> None:
        self.end(grpc.StatusCode.DEADLINE_EXCEEDED, "the deadline has passed")
        self._on_cancel(self.number)

    def _finish(self) -> None:
        self._ended = True
        self._timer.cancel()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
