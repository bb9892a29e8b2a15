"""Tops up this router's part of what the routers of its fleet share, from a Valkey or Redis server.

No decision waits for it: the core decides by what it holds (`router.policy.allowance`), and here it
is told what has come in. Each doubt is resolved to the store's side: what is given back is gone
before it is sent, an answer that is lost was given out.
"""

import asyncio
import logging
import math
import random
from collections.abc import Sequence
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from router.live.backoff import Backoff
from router.live.settings import StoreSettings
from router.live.store_script import LUA, MEMBER_MS
from router.live.timed_core import TimedCore
from router.observe.event import StoreHeard
from router.policy.allowance import Granted, Want

_AWAY: Final = (RedisError, OSError, TimeoutError, ValueError)
"""What a store that is not there, is not ready or is none raises."""

_AWAY_MAX_S: Final = 2.0  # between two tries

_log = logging.getLogger(__name__)


class SharedStore:
    """The conversation of one router with the store."""

    def __init__(self, core: TimedCore, settings: StoreSettings) -> None:
        """Raises OSError where the password file cannot be read, ValueError for a bad URL."""
        self._core = core
        self._settings = settings
        self._redis = Redis.from_url(
            settings.url or "",
            password=_password(settings),
            socket_timeout=settings.timeout_s,
            socket_connect_timeout=settings.timeout_s,
            retry=Retry(NoBackoff(), 0),  # the next top-up is the next try
            max_connections=1,
        )
        self._script = self._redis.register_script(LUA)
        self._routers = 0  # that the store counted in its last answer; 0: it is away
        self._told = False

    async def run(self) -> None:
        """Asks again and again, until cancelled."""
        backoff = Backoff(self._settings.interval_s, _AWAY_MAX_S)
        while True:
            await self.ask()
            if self._routers:
                backoff.reset()
                await asyncio.sleep(self._settings.interval_s * random.uniform(0.8, 1.0))
            else:
                await asyncio.sleep(backoff.wait_s())

    async def ask(self) -> None:
        """Asks once, for all that is wanted; tells the core what came of it."""
        wants = [want for want in self._core.wants() if want.amount or want.debt]
        back = tuple(Granted(w.bucket.name, w.amount) for w in wants if w.amount < 0)
        if back:
            self._core.tell(StoreHeard(self._routers, back))
        try:
            routers, given = await self._call(wants, "stays")
        except _AWAY as error:
            self._lose(error)
            return
        granted = tuple(
            Granted(want.bucket.name, max(0.0, amount), want.debt)
            for want, amount in zip(wants, given, strict=True)
        )
        if granted or routers != self._routers:
            if not self._routers and self._told:
                _log.info("the store answers again; %d routers share it", routers)
            self._routers, self._told = routers, True
            self._core.tell(StoreHeard(routers, granted))

    async def close(self) -> None:
        """Gives everything back, if the store is there to take it."""
        held = dict(self._core.held())
        back = [
            Want(want.bucket, -max(0.0, held[want.bucket.name]), want.debt)
            for want in self._core.wants()
        ]
        self._core.tell(StoreHeard(0, tuple(Granted(w.bucket.name, w.amount) for w in back)))
        try:
            await self._call(back, "leaves")
        except _AWAY as error:
            _log.warning("the store is away; what this router held of it is lost: %s", error)
        await self._redis.aclose()

    async def _call(self, wants: Sequence[Want], stays: str) -> tuple[int, list[float]]:
        name = self._settings.name
        keys = [f"{{{name}}}:routers", *(f"{{{name}}}:{want.bucket.name}" for want in wants)]
        arguments: list[Any] = [self._core.router, MEMBER_MS, stays]
        for bucket, amount, debt in wants:
            arguments += (bucket.most, bucket.per_s, amount, debt)
        async with asyncio.timeout(self._settings.timeout_s):
            routers, *given = await self._script(keys=keys, args=arguments)
        amounts = [float(one) for one in given]
        if len(amounts) != len(wants) or not all(map(math.isfinite, amounts)):
            raise ValueError("the store's answer is none to what was asked")
        return max(1, int(routers)), amounts

    def _lose(self, error: Exception) -> None:
        if self._routers or not self._told:
            _log.warning(
                "the store of what routers share is away (%s: %s); this router spends what it"
                " holds",
                type(error).__name__,
                error,
            )
            self._core.tell(StoreHeard(0))
        self._routers, self._told = 0, True


def _password(settings: StoreSettings) -> str | None:
    if settings.password_file is None:
        return None
    return settings.password_file.read_text().strip()
