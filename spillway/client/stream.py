"""A stream of chunks from a running call, for `async for`."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, Self

import grpc

from spillway.client.chunk import Chunk, chunk_of
from spillway.client.direct_call import DirectCall
from spillway.client.ending import Ending, ending_of
from spillway.client.errors import error_of
from spillway.client.resumption import Break, Resumption, break_of
from spillway.client.sync_direct_call import SyncDirectCall
from wire.vllm import inference_pb2 as pb


@dataclass(frozen=True, slots=True)
class Started:
    """A call that was sent."""

    call: Any  # grpc.aio.UnaryStreamCall, or its synchronous counterpart
    address: str
    request_id: str
    resumption: Resumption  # of the answer that it is part of
    give_back: Callable[[], None]  # its connection, once
    came_back: bool = False  # from an endpoint, to the router
    direct: DirectCall | SyncDirectCall | None = None  # the call, where it is one to an endpoint


class Source(Protocol):
    """Where a stream gets its calls from."""

    async def start(self) -> Started:
        """Send the request for what is left of the answer.

        Raises DeadlineError where there is no time left.
        """
        ...

    def leave(self, direct: DirectCall) -> None:
        """A call to an endpoint broke off: the next one tells the router of it."""
        ...

    def pause_s(self, broke: Break, address: str) -> float | None:
        """How long to wait before the next start, after a call to this address; None: no more."""
        ...

    def release(self) -> None:
        """The stream is over; its place is free, if it had one."""
        ...


class Stream:
    """The chunks of one answer, in order, as they arrive.

    The call starts with the first chunk that is asked for, or with `async with`. It is cancelled
    when that block is left, when the task is cancelled, by `cancel()`, and when nobody holds the
    stream any more: leaving a loop early ends the request in the engine.

    Should the router die, the answer goes on from another one, or from this one once it is back;
    `ending.resumed` counts it. Each token comes once.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
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
        try:
            while not self._over:
                started = await self._open()
                response = await self._next(started)
                if response is not None:
                    return chunk_of(response)
        except asyncio.CancelledError:
            if self._cancelled and not _task_is_cancelled():
                raise StopAsyncIteration from None
            self.cancel()
            raise
        raise StopAsyncIteration

    async def _next(self, started: Started) -> pb.GenerateResponse | None:
        """The next message; None where the answer is over, or has to be asked for once more."""
        resumption = started.resumption
        try:
            response: Any = await started.call.read()
            if response is not grpc.aio.EOF:
                if not resumption.has_begun:
                    resumption.learn(await started.call.initial_metadata())
                return resumption.take(response)
        except grpc.aio.AioRpcError as error:
            if not resumption.finished:
                return await self._go_on(started, error)
        trailers = await started.call.trailing_metadata()
        resumption.keep(trailers)
        self.ending = ending_of(
            trailers, started.request_id, resumption.resumed, came_back=started.came_back
        )
        self._end()
        return None

    async def _go_on(
        self, started: Started, error: grpc.aio.AioRpcError
    ) -> pb.GenerateResponse | None:
        resumption = started.resumption
        broke = break_of(error.code(), error.details(), error.trailing_metadata())
        if isinstance(started.direct, DirectCall):
            broke = broke._replace(direct=True)
            self._source.leave(started.direct)
        last = resumption.ending(broke)
        if last is not None:
            self.ending = ending_of((), started.request_id, resumption.resumed)
            self._end()
            return last
        pause_s = self._source.pause_s(broke, started.address)
        if pause_s is None:
            self._end()
            raise error_of(error, started.address, started.request_id) from None
        started.give_back()
        self._started = None
        await asyncio.sleep(pause_s)
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
            self._started = await self._source.start()
            if self._over:  # `cancel` came while the call waited for its place
                self._started.give_back()
                self._started.call.cancel()
                self._source.release()
        return self._started

    def _end(self) -> None:
        if not self._over:
            self._over = True
            if self._started:
                self._started.give_back()
            self._source.release()

    def __del__(self) -> None:
        self.cancel()


def _task_is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
