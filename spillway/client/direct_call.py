"""One stream from an endpoint, in the shape of a call to a router."""

import asyncio
from typing import Any, Protocol

import grpc
import grpc.aio
from grpc_health.v1.health_pb2 import HealthCheckRequest
from grpc_health.v1.health_pb2_grpc import HealthStub

from spillway.client.cancellation import task_is_cancelled
from spillway.client.lease_account import LeaseAccount
from spillway.client.paths import Way
from spillway.client.placement import Placed, broken, was_ended
from spillway.client.silence import ANSWER_S, Silence
from wire.spillway.v1.fleet_pb2 import LeaseClaim
from wire.status import Metadata


class Owner(Protocol):
    """Whose call it is."""

    def tell(self, claim: LeaseClaim, loop: asyncio.AbstractEventLoop) -> None:
        """Tell the router what became of the lease."""
        ...

    def doubt(self, way: Way, channel: grpc.aio.Channel) -> None:
        """Nothing answers on this channel."""
        ...


class DirectCall:
    """A call to an endpoint, in the shape of one to a router, which notices that it falls silent.

    A silent endpoint is asked whether it lives. If it does not answer, or answers and still gives
    nothing for some times as long, the call is given up.
    """

    def __init__(self, placed: Placed, call: Any, channel: grpc.aio.Channel, owner: Owner) -> None:
        self.placed = placed
        self._call = call
        self._check = HealthStub(channel).Check
        self.channel = channel
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        begun_s = self._loop.time()
        self._silence = Silence(placed.placement, begun_s)
        self.account = LeaseAccount(placed.placement.lease, begun_s)
        self._over = False
        self._given_up = ""
        self._asking: asyncio.Task[None] | None = None
        self._timer = self._loop.call_later(self._silence.look_s(begun_s), self._look)

    async def read(self) -> Any:
        """The next message, or grpc.aio.EOF. Raises grpc.aio.AioRpcError where it broke off."""
        self._silence.listen(self._loop.time())
        try:
            response = await self._call.read()
        except grpc.aio.AioRpcError as error:
            self.account.fail(error.code())
            self._stop()
            raise
        except asyncio.CancelledError:
            if self._given_up and not task_is_cancelled():
                self._stop()
                raise broken(self._given_up) from None
            raise
        if response is grpc.aio.EOF:
            self._stop()
            if not self.account.is_complete:
                raise broken("the endpoint ended the answer in its middle")
            self._say(LeaseClaim.COMPLETE)
            return response
        if was_ended(response):
            self._stop()
            self._call.cancel()
            raise broken("the endpoint was told to end the answer")
        now_s = self._loop.time()
        self._silence.moved(now_s)
        self.account.add(response, now_s)
        return response

    async def initial_metadata(self) -> Metadata:
        """What a router would say of what answers."""
        return self.placed.initial

    async def trailing_metadata(self) -> Metadata:
        """What a router would say in the end."""
        return self.placed.trailers

    def cancel(self) -> None:
        """The answer is wanted no longer."""
        if not self._over:
            self._stop()
            self._say(LeaseClaim.CANCELLED)
        self._call.cancel()

    def _say(self, end: LeaseClaim.End) -> None:
        if not self._loop.is_closed():  # as it may be for a stream that nobody held any more
            self._owner.tell(self.account.claim(end, self._loop.time()), self._loop)

    def _stop(self) -> None:
        self._over = True
        self._timer.cancel()
        if self._asking is not None:
            self._asking.cancel()

    def _look(self) -> None:
        look_s = self._silence.look_s(self._loop.time())
        if look_s > 0.0:
            self._timer = self._loop.call_later(look_s, self._look)
        elif self._silence.is_believed:
            self._give_up("it answers, and gives nothing")
        else:
            self._asking = asyncio.ensure_future(self._ask())

    async def _ask(self) -> None:
        try:
            await self._check(HealthCheckRequest(), timeout=ANSWER_S)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
                if self._give_up("it does not answer"):
                    self._owner.doubt(self.placed.way, self.channel)
                elif not self._over:  # a message came while it was asked
                    self._look()
                return
        if not self._over:
            self._silence.believe()
            self._look()

    def _give_up(self, why: str) -> bool:
        """Unless a message came meanwhile."""
        if self._over or self._silence.left_s(self._loop.time()) > 0.0:
            return False
        self._given_up = f"{self.placed.placement.endpoint} has fallen silent: {why}"
        self._call.cancel()
        return True
