"""The calls of one answer: the first, and one for each time that it has to go on elsewhere."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from spillway.client.connections import Connections
from spillway.client.direct import Direct
from spillway.client.direct_call import DirectCall
from spillway.client.errors import DeadlineError
from spillway.client.options import Call
from spillway.client.resumption import Break, Resumption
from spillway.client.stream import Started
from wire.spillway.v1.fleet_pb2 import LeaseClaim
from wire.vllm import inference_pb2_grpc


class Answering:
    """See spillway.client.stream.Source."""

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
        self._resumption: Resumption | None = None
        self._connections = connections
        self._places = places
        self._has_place = False
        self._put = put
        self._call = call
        self._resume_s = resume_s
        self._give_up_s = 0.0
        self._direct = direct
        self._came_from: tuple[
            tuple[str, str | bytes], ...
        ] = ()  # what the router is told of where the request has been

    async def start(self) -> Started:
        """See Source. Waits for a place the first time."""
        loop, call = asyncio.get_running_loop(), self._call
        if self._resumption is None:
            self._give_up_s = loop.time() + call.deadline_s
            try:
                async with asyncio.timeout_at(self._give_up_s):
                    await self._put(call)
                    await self._places.acquire()
            except TimeoutError:
                message = "the deadline passed before the request could be sent"
                raise DeadlineError(message) from None
            self._has_place = True
            self._resumption = Resumption(call, self._resume_s)
            if self._direct is not None and self._resumption.is_able:
                try:
                    started = await self._start_direct(self._direct, self._resumption)
                except BaseException:
                    self.release()
                    raise
                if started is not None:
                    return started
        resumption = self._resumption
        request, metadata = resumption.begin()
        connection = self._connections.take()
        running = inference_pb2_grpc.InferenceStub(connection.channel).GenerateStream(
            request, metadata=(*metadata, *self._came_from), timeout=self._remaining_s
        )
        give_back = partial(self._connections.give_back, connection)
        request_id = call.request.request_id
        came_back = bool(self._came_from)
        return Started(running, connection.address, request_id, resumption, give_back, came_back)

    async def _start_direct(self, direct: Direct, resumption: Resumption) -> Started | None:
        """The call to where the router says; None where it has to go through the router."""
        call, remaining_s = self._call, self._remaining_s
        placed = await direct.place(call, remaining_s)
        if placed is None:
            return None
        request, metadata = resumption.begin()
        running = await direct.open(placed, request, metadata, self._remaining_s)
        if running is None:
            self._came_from = placed.coming_back(LeaseClaim.UNREACHABLE)
            return None
        address = placed.placement.address
        give_back = partial(direct.give_back, running.channel)
        return Started(
            running, address, call.request.request_id, resumption, give_back, direct=running
        )

    def leave(self, direct: DirectCall) -> None:
        """See Source."""
        self._came_from = direct.placed.coming_back(direct.account.broken)

    @property
    def _remaining_s(self) -> float:
        return max(0.0, self._give_up_s - asyncio.get_running_loop().time())

    def pause_s(self, broke: Break, address: str) -> float | None:
        """See Source."""
        now_s = asyncio.get_running_loop().time()
        count = len(self._connections.addresses)
        pause_s = self._resumption.pause_s(broke, count, now_s) if self._resumption else None
        if pause_s is None or now_s + pause_s >= self._give_up_s:
            return None
        self._connections.leave(address)
        return pause_s

    def release(self) -> None:
        """See Source."""
        if self._has_place:
            self._has_place = False
            self._places.release()
