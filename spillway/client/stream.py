"""A stream of chunks from a running call, for `async for`."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Self

import grpc

from spillway.client.chunk import Chunk, chunk_of
from spillway.client.ending import Ending, ending_of
from spillway.client.errors import error_of


@dataclass(frozen=True, slots=True)
class Started:
    """A call that was sent."""

    call: Any  # grpc.aio.UnaryStreamCall, or its synchronous counterpart
    address: str
    request_id: str
    release: Callable[[], None]  # gives the call's place back, once


class Stream:
    """The chunks of one answer, in order, as they arrive.

    The call starts with the first chunk that is asked for, or with `async with`. It is cancelled
    when that block is left, when the task is cancelled, by `cancel()`, and when nobody holds the
    stream any more: leaving a loop early ends the request in the engine.
    """

    def __init__(self, start: Callable[[], Awaitable[Started]]) -> None:
        self._start = start
        self._started: Started | None = None
        self._over = False
        self._cancelled = False
        self.ending: Ending | None = None
        """Where the answer came from, once it is complete."""

    async def __aenter__(self) -> Self:
        await self._open()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.cancel()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Chunk:
        """The next chunk.

        Raises:
            SpillwayError: the answer broke off, or never began.
        """
        if self._over:
            raise StopAsyncIteration
        started = await self._open()
        try:
            response = await started.call.read()
        except asyncio.CancelledError:
            if self._cancelled and not _task_is_cancelled():
                raise StopAsyncIteration from None
            self.cancel()
            raise
        except grpc.aio.AioRpcError as error:
            self._end()
            raise error_of(
                error.code(),
                error.details(),
                error.trailing_metadata(),
                started.address,
                started.request_id,
            ) from None
        if response is grpc.aio.EOF:
            self.ending = ending_of(await started.call.trailing_metadata(), started.request_id)
            self._end()
            raise StopAsyncIteration
        return chunk_of(response)

    def cancel(self) -> None:
        """End the call; a loop over the stream ends. Does nothing to a stream that is complete."""
        if not self._over:
            self._cancelled = True
            self._end()
            if self._started:
                self._started.call.cancel()

    async def _open(self) -> Started:
        if self._started is None:
            self._started = await self._start()
            if self._over:  # `cancel` came while the call waited for its place
                self._started.release()
                self._started.call.cancel()
        return self._started

    def _end(self) -> None:
        if not self._over:
            self._over = True
            if self._started:
                self._started.release()

    def __del__(self) -> None:
        self.cancel()


def _task_is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
