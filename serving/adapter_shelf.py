"""The LoRA adapters that an engine has loaded: the least recently used makes way for another.

An adapter is loaded before the first request for it reaches the engine's scheduler, one at a time.
So how long it takes is known, and one that cannot be loaded fails its request: found out in the
middle of a step, it would end the engine and every stream there.
"""

import asyncio
import time
from collections import Counter, OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager

from serving.engine import AdapterUse
from serving.recent_mean import RecentMean

LOAD_HALF_LIFE_S = 600.0
"""Loads are rare: the last few tell how long the next will take."""

Loader = Callable[[str], Awaitable[Collection[str]]]
"""Has an adapter loaded and says which are loaded then."""


class AdapterShelf:
    """What is loaded, and for how many requests."""

    def __init__(
        self,
        load: Loader,
        *,
        loaded_max: int,
        running_max: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load = load
        self._loaded_max = loaded_max
        self._running_max = running_max
        self._clock = clock
        self._loaded: OrderedDict[str, None] = OrderedDict()
        self._running: Counter[str] = Counter()
        self._took = RecentMean(LOAD_HALF_LIFE_S)
        self._loading = asyncio.Lock()

    @property
    def use(self) -> AdapterUse:
        """As of now."""
        return AdapterUse(
            loaded=tuple(self._loaded),
            loaded_max=self._loaded_max,
            running=dict(self._running),
            running_max=self._running_max,
            load_s=self._took.value,
        )

    @asynccontextmanager
    async def taken(self, name: str) -> AsyncGenerator[None, None]:
        """While a request for it runs; the adapter is loaded. An empty name is for none.

        Raises what loading it raises.
        """
        if not name:
            yield
            return
        self._running[name] += 1
        try:
            await self._have(name)
            yield
        finally:
            self._running[name] -= 1
            if not self._running[name]:
                del self._running[name]

    def used(self, name: str) -> None:
        """The engine has computed with it, so that it is there, whatever was known."""
        if not name:
            return
        self._loaded[name] = None
        self._loaded.move_to_end(name)
        while len(self._loaded) > self._loaded_max:
            self._loaded.popitem(last=False)

    async def _have(self, name: str) -> None:
        if name in self._loaded:
            return
        async with self._loading:
            if name in self._loaded:  # another request for it has waited for less
                return
            began_s = self._clock()
            there = await self._load(name)
            now_s = self._clock()
            self._took.add(now_s - began_s, 1, now_s)
            for other in _gone(self._loaded, there):
                del self._loaded[other]
            self.used(name)


def _gone(known: Collection[str], there: Collection[str]) -> Sequence[str]:
    return [name for name in known if name not in there]
