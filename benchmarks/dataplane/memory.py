"""What an open stream holds of a middle's memory: many are opened, and kept open."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.dataplane.client import Call, ClientConnection, Seen, turn
from benchmarks.dataplane.load import CONNECTIONS
from benchmarks.dataplane.middles import MIDDLES, middle
from benchmarks.dataplane.process import resident_bytes, running

_INTERVAL_MS: Final = 4_000
_MESSAGES: Final = 100
_OPEN_S: Final = 180.0  # on a busy machine; an idle one takes ten seconds
_AT_ONCE: Final = 200  # streams that are opened and have not begun
_SETTLE_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Held:
    """The memory of one middle with so many streams open, and what each adds to it."""

    streams: int
    mib: float
    stream_kb: float
    errors: int


async def hold(name: str, streams: int, programs: Path | None) -> Held:
    """Opens so many streams through a middle. Raises MissingError for an absent rival."""
    pace = ["--interval-ms", str(_INTERVAL_MS)]
    async with contextlib.AsyncExitStack() as started:
        engine = await started.enter_async_context(running(MIDDLES[name].engine, pace))
        process = await started.enter_async_context(middle(name, programs, engine))

        def resident() -> int:
            return resident_bytes(process.pid)

        return await asyncio.to_thread(_hold, process.address, streams, resident)


def _hold(address: str, streams: int, resident: Callable[[], int]) -> Held:
    seen = Seen()
    connections = [ClientConnection(address, seen) for _ in range(CONNECTIONS)]
    before, opened, give_up = resident(), 0, time.monotonic() + _OPEN_S
    while len(seen.ttft_s) + seen.errors.total() < streams and time.monotonic() < give_up:
        while opened < min(streams, len(seen.ttft_s) + _AT_ONCE):
            Call(connections[opened % CONNECTIONS], _MESSAGES, lambda _call: None)
            opened += 1
        turn(connections, 0.05)
    settled = time.monotonic() + _SETTLE_S
    while time.monotonic() < settled:
        turn(connections, 0.05)
    after, errors = resident(), seen.errors.total() + streams - len(seen.ttft_s)
    for connection in connections:
        connection.close()
    return Held(streams, after / 2**20, (after - before) / streams / 1_000, errors)
