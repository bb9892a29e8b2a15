"""The way out to one client: message by message, and put together where it is behind.

A client that takes each message as it comes gets each as it came, for nothing but the writing: no
task, no queue and no timer. Where the next message is there sooner than the last one went out, the
client is slow, or this router is busy: then what comes while a message is being written waits for
it, and goes out as one. So nobody who keeps up ever waits, and who does not costs less. For one who
is behind, and for nobody else, writes may be held back for a little longer, to gather more.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

import grpc.aio

from router.live.coalescing import coalesced

WAITING_BYTES_MAX: Final = 64 * 1024
"""What may wait for one client: as much as an endpoint may send ahead (router.live.channel)."""

_QUICK_S: Final = 0.005
"""A write that took no longer says nothing of who is behind."""


class ClientGoneError(Exception):
    """Nothing can be written to the client: it went, and the cancel of its call is on its way.

    An error of its own, because gRPC's says the same of a connection to an endpoint that closes.
    """


class Outlet:
    """Gives messages to one client, in order, for one task; ends with `flush` or with `close`."""

    __slots__ = (
        "_bytes",
        "_hold_s",
        "_room",
        "_took_s",
        "_waiting",
        "_write",
        "_writer",
        "_wrote_s",
    )

    def __init__(self, write: Callable[[bytes], Awaitable[None]], hold_s: float | None) -> None:
        """`hold_s` is how long writes to a client that is behind are held back.

        None puts nothing together: each message is written as it came, however late.
        """
        self._write = write
        self._hold_s = hold_s
        self._took_s = 0.0  # the last write,
        self._wrote_s = 0.0  # and when it was over
        self._waiting: list[bytes] = []
        self._bytes = 0  # that wait
        self._writer: asyncio.Task[None] | None = None  # while the client is behind
        self._room: asyncio.Event | None = None

    async def begin(self, sending: Awaitable[None]) -> None:
        """What goes before the first message. Raises ClientGoneError."""
        try:
            await sending
        except grpc.aio.BaseError as error:
            raise ClientGoneError from error

    async def give(self, message: bytes) -> None:
        """The next message. Raises ClientGoneError where it or one before cannot be written."""
        if self._writer is not None and self._writer.done():
            await self.flush()
        if self._writer is None:
            begun_s = time.perf_counter()
            if self._keeps_up(begun_s - self._wrote_s):
                try:
                    await self._write(message)
                except grpc.aio.BaseError as error:
                    raise ClientGoneError from error
                self._wrote_s = time.perf_counter()
                self._took_s = self._wrote_s - begun_s
                return
            self._took_s = 0.0
            self._room = asyncio.Event()
            self._writer = asyncio.create_task(self._write_all(self._room), name="write to client")
        self._waiting.append(message)
        self._bytes += len(message)
        if self._bytes > WAITING_BYTES_MAX and self._room is not None:
            self._room.clear()
            await self._room.wait()

    def _keeps_up(self, waited_s: float) -> bool:
        """Whether a message that came so long after the last was written is written by itself."""
        if self._took_s <= _QUICK_S or self._hold_s is None:
            return True
        return waited_s >= (min(self._took_s, self._hold_s) if self._hold_s else self._took_s)

    async def flush(self) -> None:
        """Until all that was given is written. Raises ClientGoneError where it cannot be."""
        writer, self._writer = self._writer, None
        if writer is not None:
            await writer

    def close(self) -> None:
        """Nobody waits for the rest."""
        writer, self._writer = self._writer, None
        if writer is None:
            return
        if not writer.cancel() and not writer.cancelled():
            writer.exception()  # which nobody wants to hear of any more

    async def _write_all(self, room: asyncio.Event) -> None:
        """Writes what waits, until nothing does."""
        try:
            while self._waiting:
                if self._hold_s:
                    await asyncio.sleep(self._hold_s)
                waiting, self._waiting, self._bytes = self._waiting, [], 0
                room.set()
                for message in coalesced(waiting):
                    await self._write(message)
        except grpc.aio.BaseError as error:
            raise ClientGoneError from error
        finally:
            room.set()
