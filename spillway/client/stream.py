"""A stream of chunks from a running call, for `async for`."""

import asyncio
from typing import Any, Self

import grpc

from spillway.client.answering import Answering
from spillway.client.attempts import Started
from spillway.client.cancellation import task_is_cancelled
from spillway.client.chunk import Chunk, chunk_of
from spillway.client.ending import Ending
from spillway.client.errors import SpillwayError
from wire.vllm import inference_pb2 as pb


class Stream:
    """The chunks of one answer, in order, as they arrive.

    The call starts with the first chunk that is asked for, or with `async with`. It is cancelled
    when that block is left, when the task is cancelled, by `cancel()`, and when nobody holds the
    stream any more: leaving a loop early ends the request in the engine.

    Should the router die, the answer goes on from another one, or from this one once it is back;
    `ending.resumed` counts it. Each token comes once.
    """

    ending: Ending | None = None
    """Where the answer came from, once it is complete."""

    def __init__(self, answering: Answering) -> None:
        self._answering = answering
        self._started: Started | None = None
        self._over = False
        self._cancelled = False

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
        try:
            while not self._over:
                started = await self._open()
                response = await self._next(started)
                if response is not None:
                    return chunk_of(response)
        except asyncio.CancelledError:
            if self._cancelled and not task_is_cancelled():
                raise StopAsyncIteration from None
            self.cancel()
            raise
        raise StopAsyncIteration

    async def _next(self, started: Started) -> pb.GenerateResponse | None:
        """The next message; None where the answer is over, or has to be asked for once more."""
        resumption = started.attempts.resumption
        try:
            response: Any = await started.call.read()
            if response is not grpc.aio.EOF:
                if not resumption.has_begun:
                    resumption.learn(await started.call.initial_metadata())
                started.attempts.span.came()
                return resumption.take(response)
        except grpc.aio.AioRpcError as error:
            if not resumption.finished:
                return await self._go_on(started, error)
        trailers = await started.call.trailing_metadata()
        self.ending = started.attempts.ending(started, trailers)
        self._end()
        return None

    async def _go_on(
        self, started: Started, error: grpc.aio.AioRpcError
    ) -> pb.GenerateResponse | None:
        try:
            follows = started.attempts.after(started, error, asyncio.get_running_loop().time())
        except SpillwayError:
            self._end()
            raise
        if isinstance(follows, pb.GenerateResponse):
            self.ending = started.attempts.ending(started)
            self._end()
            return follows
        started.give_back()
        self._started = None
        await asyncio.sleep(follows)
        return None

    def cancel(self) -> None:
        """End the call; a loop over the stream ends. Does nothing to a stream that is complete."""
        if not self._over:
            self._cancelled = True
            self._end()
            if self._started:
                self._started.call.cancel()

    async def _open(self) -> Started:
        if self._started is None:
            self._started = await self._answering.start()
            if self._over:  # `cancel` came while the call waited for its place
                self._started.give_back()
                self._started.call.cancel()
                self._answering.release()
        return self._started

    def _end(self) -> None:
        if not self._over:
            self._over = True
            if self._started:
                self._started.give_back()
            self._answering.release()

    def __del__(self) -> None:
        self.cancel()
