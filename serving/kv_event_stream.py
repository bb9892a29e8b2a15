"""Receives the events of a vLLM engine's prefix cache, from its process on this machine.

Events come over a Unix socket. Each batch is numbered, so that a lost one is
noticed. zmq and msgspec are vLLM's own dependencies.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import msgspec
import zmq
import zmq.asyncio

from serving.engine import PrefixBlocks
from serving.kv_events import NOT_EVENTS, PrefixFollower

BATCHES_MAX = 10_000
"""Batches that wait to be read, one for each step of the engine; beyond it they are lost."""


class KvEventStream:
    """The publisher's settings, and the subscription to it."""

    def __init__(self, folder: str) -> None:
        """Folder must be private to this user: events tell the prompts."""
        self._endpoint = f"ipc://{folder}/events"
        self._published = False
        self._listeners: list[Callable[[PrefixBlocks], None]] = []
        self._task: asyncio.Task[None] | None = None

    def publisher(self) -> dict[str, Any]:
        """For an engine that shall publish here, its kv_events_config."""
        self._published = True
        return {"enable_kv_cache_events": True, "publisher": "zmq", "endpoint": self._endpoint}

    def on_change(self, listener: Callable[[PrefixBlocks], None]) -> bool:
        """Calls listener with each change from now on. False where no engine publishes here."""
        self._listeners.append(listener)
        return self._published

    def start(self, blocks_max: int) -> None:
        """Subscribes, once the engine publishes and before it has served anybody."""
        if self._published:
            follower = PrefixFollower(blocks_max)
            self._task = asyncio.get_running_loop().create_task(self._follow(follower))

    async def stop(self) -> None:
        """Unsubscribes."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _follow(self, follower: PrefixFollower) -> None:
        socket = zmq.asyncio.Context.instance().socket(zmq.SUB)
        socket.set_hwm(BATCHES_MAX)
        socket.setsockopt(zmq.LINGER, 0)
        socket.subscribe(b"")
        socket.connect(self._endpoint)
        expected: int | None = None
        try:
            while True:
                _, number, payload = await socket.recv_multipart()
                sequence = int.from_bytes(number, "big")
                if expected is not None and sequence != expected:
                    self._tell(follower.restart())
                expected = sequence + 1
                _, events, *_ = msgspec.msgpack.decode(payload)
                try:
                    changes = follower.read(events)
                except NOT_EVENTS:  # of an engine whose events are others: less is reported
                    changes = [follower.restart()]
                for change in changes:
                    self._tell(change)
        finally:
            socket.close()

    def _tell(self, change: PrefixBlocks) -> None:
        for listener in self._listeners:
            listener(change)
