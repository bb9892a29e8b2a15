"""What the router says of its sites while the story runs."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import grpc.aio

from wire.spillway.v1 import fleet_pb2, fleet_pb2_grpc

INTERVAL_MS = 100
RATE_WINDOW_S = 2.0


@dataclass(frozen=True, slots=True)
class _Seen:
    at_s: float
    tokens: dict[str, int]


@dataclass(slots=True)
class FleetWatch:
    """The last state of the fleet, and the rate of tokens and the cache hits at each site."""

    state: fleet_pb2.FleetState = field(default_factory=fleet_pb2.FleetState)
    _cache: dict[str, tuple[int, int]] = field(default_factory=dict)  # queried and hit tokens
    _seen: deque[_Seen] = field(default_factory=deque)

    def hear(self, state: fleet_pb2.FleetState, now_s: float) -> None:
        """A state that the router sent."""
        self.state = state
        for site in state.sites:
            found = (site.prefix_query_tokens, site.prefix_hit_tokens)
            self._cache[site.name] = max(found, self._cache.get(site.name, (0, 0)))
        self._seen.append(_Seen(now_s, {site.name: site.tokens for site in state.sites}))
        while now_s - self._seen[0].at_s > RATE_WINDOW_S:
            self._seen.popleft()

    def hit_rate(self, site: str) -> float:
        """The share of prompt tokens that its caches had; of its first engine, where that died."""
        queried, hit = self._cache.get(site, (0, 0))
        return hit / max(1, queried)

    def tokens_per_s(self, site: str) -> float:
        """Over the last two seconds."""
        if len(self._seen) < 2:
            return 0.0
        first, last = self._seen[0], self._seen[-1]
        tokens = last.tokens.get(site, 0) - first.tokens.get(site, 0)
        return max(0, tokens) / (last.at_s - first.at_s)


@contextlib.asynccontextmanager
async def watching(address: str) -> AsyncIterator[FleetWatch]:
    """Listen to the router at `address` for as long as the block lasts."""
    watch = FleetWatch()
    async with grpc.aio.insecure_channel(address) as channel:
        call = fleet_pb2_grpc.FleetStub(channel).Watch(
            fleet_pb2.WatchFleetRequest(interval_ms=INTERVAL_MS)
        )

        async def listen() -> None:
            async for state in call:
                watch.hear(state, time.monotonic())

        task = asyncio.create_task(listen())
        try:
            yield watch
            await asyncio.sleep(2 * INTERVAL_MS / 1000)  # so that the last state has it all
        finally:
            task.cancel()
            call.cancel()
            with contextlib.suppress(asyncio.CancelledError, grpc.aio.AioRpcError):
                await task
