"""One answer among those of its client: its place, and where it is asked for."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any

from spillway.client.attempts import Attempts, Started
from spillway.client.connections import Connections
from spillway.client.direct import Direct
from spillway.client.errors import DeadlineError, SpillwayError
from spillway.client.options import Call


class Answering:
    """One answer: it waits for its place, and is asked of an endpoint or of the router."""

    def __init__(
        self,
        connections: Connections[Any],
        places: asyncio.Semaphore,
        put: Callable[[Call], Awaitable[None]],
        call: Call,
        resume_s: float,
        direct: Direct | None = None,
    ) -> None:
        """`put` puts the prompt into the request, where it is not there yet."""
        self._connections = connections
        self._places = places
        self._has_place = False
        self._put = put
        self._call = call
        self._resume_s = resume_s
        self._direct = direct
        self._attempts: Attempts | None = None

    async def start(self) -> Started:
        """Send the request for what is left of the answer; the first time, wait for a place.

        Raises DeadlineError where there is no time left.
        """
        loop = asyncio.get_running_loop()
        if self._attempts is not None:
            return self._attempts.through_router(loop.time())
        give_up_s = loop.time() + self._call.deadline_s
        try:
            async with asyncio.timeout_at(give_up_s):
                await self._put(self._call)
                await self._places.acquire()
        except TimeoutError:
            raise DeadlineError("the deadline passed before the request could be sent") from None
        self._has_place = True
        self._attempts = Attempts(self._connections, self._call, self._resume_s, give_up_s)
        try:
            return await self._first(self._attempts)
        except BaseException:
            self.release()
            raise

    async def _first(self, attempts: Attempts) -> Started:
        """The call to where the router says, or to the router itself."""
        loop, direct = asyncio.get_running_loop(), self._direct
        if direct is None or not attempts.resumption.is_able:
            return attempts.through_router(loop.time())
        call = replace(self._call, metadata=(*self._call.metadata, *attempts.span.metadata))
        try:
            placed = await direct.place(call, attempts.remaining_s(loop.time()))
        except SpillwayError as error:
            attempts.span.fail(error.code)
            raise
        if placed is None:
            return attempts.through_router(loop.time())
        request, metadata = attempts.resumption.begin()
        metadata = (*metadata, *attempts.span.metadata)
        opened = await direct.open(placed, request, metadata, attempts.remaining_s(loop.time()))
        if opened is None:
            attempts.unreachable(placed)
            return attempts.through_router(loop.time())
        return attempts.at_endpoint(opened, partial(direct.give_back, opened.channel))

    def release(self) -> None:
        """The stream is over; its place is free, if it had one."""
        if self._attempts is not None:
            self._attempts.span.end()
        if self._has_place:
            self._has_place = False
            self._places.release()
