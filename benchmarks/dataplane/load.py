"""Loads: how many streams, of how many messages, at what distance; and how each is driven."""

import heapq
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Literal

from benchmarks.dataplane.client import Asking, Call, ClientConnection, Seen, turn
from benchmarks.dataplane.openai_client import OpenAiClientConnection
from benchmarks.dataplane.pace import Pace, Shape

Api = Literal["vllm", "openai"]
"""vllm.Inference over gRPC, or OpenAI's over HTTP/1.1, which takes a connection for each stream."""

CONNECTIONS: Final = 8  # of gRPC's
_WAIT_MAX_S: Final = 0.05
_SETTLE_S: Final = 0.25
_GIVE_UP_ERRORS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Load:
    """A fixed number of streams kept open, each begun anew when it ends."""

    name: str
    streams: int
    interval_ms: float
    messages: int
    shape: Shape = "spread"

    @property
    def pace(self) -> Pace:
        """When the messages of a stream are due."""
        return Pace(self.interval_ms / 1_000, self.shape)


LOADS: Final = (
    Load("64 x 20 ms", streams=64, interval_ms=20, messages=100),
    Load("64 x 20 ms, bursts", streams=64, interval_ms=20, messages=100, shape="bursts"),
    Load("512 x 50 ms", streams=512, interval_ms=50, messages=40),
    Load("512 x 50 ms, bursts", streams=512, interval_ms=50, messages=40, shape="bursts"),
    Load("saturated", streams=16, interval_ms=0, messages=2_000),
    Load("32 short", streams=32, interval_ms=0, messages=8),
)


@dataclass(frozen=True, slots=True)
class Drive:
    """What was seen in the time that counts, and the CPU time that the middle took in it."""

    seen: Seen
    seconds: float
    cpu_s: float


def drive(
    address: str, load: Load, duration_s: float, cpu_s: Callable[[], float], api: Api = "vllm"
) -> Drive:
    """Keeps the load up at `address`, and counts for `duration_s` once all streams have begun.

    Streams begin at random over the length of one, so that their beginnings are spread for good.
    `cpu_s` reads the CPU time of what is measured.
    """
    seen = Seen()
    connections = _connections(address, load, seen, api)
    length_s = load.messages * load.interval_ms / 1_000
    rng = random.Random(load.name)
    begun = time.perf_counter()
    starts = sorted((begun + rng.uniform(0, length_s), i) for i in range(load.streams))
    counts_from = begun + length_s + _SETTLE_S

    def again(call: Call) -> None:
        if not call.on.closed and seen.errors.total() < _GIVE_UP_ERRORS:
            Call(call.on, load.messages, again)

    def until(end: float) -> None:
        while (now := time.perf_counter()) < end:
            while starts and starts[0][0] <= now:
                _, index = heapq.heappop(starts)
                Call(connections[index % len(connections)], load.messages, again)
            turn(connections, min(_WAIT_MAX_S, end - now, *(at - now for at, _ in starts[:1])))

    until(counts_from)
    seen.tokens = seen.messages = seen.requests = 0
    seen.ttft_s, seen.gaps_s = [], []
    spent_s, since = cpu_s(), time.perf_counter()
    until(since + duration_s)
    counted = replace(seen, errors=seen.errors.copy())  # the end of the run makes more of them
    drove = Drive(counted, time.perf_counter() - since, cpu_s() - spent_s)
    for connection in connections:
        connection.close()
    return drove


def _connections(address: str, load: Load, seen: Seen, api: Api) -> list[Asking]:
    if api == "openai":
        return [OpenAiClientConnection(address, seen) for _ in range(load.streams)]
    return [ClientConnection(address, seen) for _ in range(min(CONNECTIONS, load.streams))]
