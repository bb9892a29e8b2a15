"""A TCP relay that stands for a bad link: it delays, throttles, loses, stalls, cuts and resets.

Each connection that is accepted gets one of its own to the target. What passes is bytes, in order
and whole as TCP delivers them, so a lost packet shows as it does to a program: nothing for the time
of a retransmission, then everything at once. A connection that nobody could make (no answer to a
SYN) cannot be had from a program; to a stalled relay one can connect, and then hears nothing.
"""

import asyncio
import contextlib
import random
import socket
import struct
from dataclasses import dataclass, field
from typing import Self

READ_BYTES_MAX = 64 * 1024
PIECES_MAX = 64  # on their way in one direction; beyond it the sender feels its window close
_LINGER_NONE = struct.pack("ii", 1, 0)  # closing sends RST, and what was not sent is dropped


@dataclass(frozen=True, slots=True)
class Link:
    """How bytes travel, each way. The default is a perfect wire."""

    delay_s: float = 0.0
    bytes_per_s: float | None = None
    loss: float = 0.0  # probability that a piece has to be sent again
    retransmission_s: float = 0.2  # how long that takes: TCP's least timeout on Linux


@dataclass(slots=True, eq=False)
class _Pair:
    """One connection from a client, and the one it got to the target."""

    client: asyncio.StreamWriter
    target: asyncio.StreamWriter | None = None
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    is_half: bool = False  # the target has lost its end, and the client is not told


class Relay:
    """Relays from `address` to `target` (host:port) between `start` and `close`.

    `link` and `target` may be set at any time; a new target is for new connections.
    """

    def __init__(self, target: str, link: Link | None = None, seed: int = 0) -> None:
        self.target = target
        self.link = link or Link()
        self.port = 0
        self._rng = random.Random(seed)
        self._flows = asyncio.Event()
        self._flows.set()
        self._pairs: set[_Pair] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def address(self) -> str:
        """Where it listens; port 0 before `start`."""
        return f"127.0.0.1:{self.port}"

    @property
    def connections(self) -> int:
        """Connections from clients that are open."""
        return len(self._pairs)

    async def start(self) -> None:
        """Listen on a free port of the loopback interface."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Listen no more, and end every connection."""
        if self._server is not None:
            self._server.close()
        self.cut()
        await asyncio.gather(*self._serving, return_exceptions=True)

    def stall(self) -> None:
        """A black hole: connections stay, new ones are accepted, and nothing passes."""
        self._flows.clear()

    def resume(self) -> None:
        """What was held up goes on."""
        self._flows.set()

    def cut(self) -> None:
        """End every connection in the orderly way (FIN to both sides)."""
        for pair in list(self._pairs):
            self._end(pair)

    def reset(self) -> None:
        """End every connection with RST to both sides, as a firewall that lost its state does."""
        for pair in list(self._pairs):
            for writer in (pair.client, pair.target):
                _set_to_reset(writer)
            self._end(pair)

    def half_open(self) -> None:
        """The targets lose their ends of all connections; the clients are not told.

        What a client sends on such a connection is taken, and nothing ever comes back. New
        connections work.
        """
        for pair in self._pairs:
            if pair.target is not None:
                for task in pair.tasks:
                    task.cancel()
                _set_to_reset(pair.target)
                pair.target.transport.abort()
                pair.is_half = True

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pair = _Pair(writer)
        self._pairs.add(pair)
        task = asyncio.current_task()
        if task is not None:
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)
        try:
            await self._serve(pair, reader)
        except OSError:
            _set_to_reset(writer)  # nobody listens at the target
        finally:
            self._end(pair)

    async def _serve(self, pair: _Pair, reader: asyncio.StreamReader) -> None:
        host, _, port = self.target.rpartition(":")
        target_reader, pair.target = await asyncio.open_connection(host, int(port))
        pair.tasks = [
            asyncio.create_task(self._carry(reader, pair.target)),
            asyncio.create_task(self._carry(target_reader, pair.client)),
        ]
        await asyncio.wait(pair.tasks, return_when=asyncio.FIRST_COMPLETED)
        if pair.is_half:
            while await reader.read(READ_BYTES_MAX):
                pass

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One direction, until its sender closes or its receiver is gone."""
        pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(PIECES_MAX)
        delivering = asyncio.create_task(self._deliver(pieces, writer))
        loop = asyncio.get_running_loop()
        try:
            with contextlib.suppress(OSError):
                while data := await reader.read(READ_BYTES_MAX):
                    await pieces.put((loop.time() + self.link.delay_s, data))
                await pieces.put((loop.time() + self.link.delay_s, b""))
                await delivering
        finally:
            delivering.cancel()
            await asyncio.gather(delivering, return_exceptions=True)

    async def _deliver(
        self, pieces: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter
    ) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due_s, data = await pieces.get()
            await asyncio.sleep(max(0.0, due_s - loop.time()))
            if self._rng.random() < self.link.loss:
                await asyncio.sleep(self.link.retransmission_s)
            if self.link.bytes_per_s is not None:
                await asyncio.sleep(len(data) / self.link.bytes_per_s)
            await self._flows.wait()
            if not data:
                return
            writer.write(data)
            await writer.drain()

    def _end(self, pair: _Pair) -> None:
        self._pairs.discard(pair)
        for task in pair.tasks:
            task.cancel()
        for writer in (pair.client, pair.target):
            if writer is not None:
                writer.close()


def _set_to_reset(writer: asyncio.StreamWriter | None) -> None:
    sock = writer.get_extra_info("socket") if writer is not None else None
    if sock is not None:
        with contextlib.suppress(OSError):  # closed already
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
