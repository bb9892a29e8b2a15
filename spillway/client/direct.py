"""The client's direct mode: streams come from the endpoints, the router only says from which."""

import asyncio
from typing import Any

import grpc
import grpc.aio
from grpc_health.v1.health_pb2 import HealthCheckRequest
from grpc_health.v1.health_pb2_grpc import HealthStub

from spillway.client.connections import CHANNEL_OPTIONS, Connections
from spillway.client.errors import error_of
from spillway.client.options import Call
from spillway.client.placement import (
    ANSWER_S,
    CONNECT_S,
    REPORT_S,
    EndpointChannels,
    Paths,
    Placed,
    Silence,
    broken,
    goes_through,
    question_of,
    was_ended,
)
from wire.spillway.v1.fleet_pb2 import LeaseClaim, ReportRequest
from wire.spillway.v1.fleet_pb2_grpc import FleetStub
from wire.status import Metadata
from wire.vllm import inference_pb2 as pb
from wire.vllm import inference_pb2_grpc

_READY = grpc.ChannelConnectivity.READY
_FAILED = grpc.ChannelConnectivity.TRANSIENT_FAILURE
_TELL_S = 0.1  # what is told together
_CLAIMS_MAX = 256


class Direct:
    """Placements, connections to endpoints, and what is told of them, of one client."""

    def __init__(self, connections: Connections[grpc.aio.Channel]) -> None:
        self._connections = connections
        self._paths = Paths()
        self._closing: set[asyncio.Task[None]] = set()
        self._channels = EndpointChannels(
            lambda at: grpc.aio.insecure_channel(at, options=CHANNEL_OPTIONS), self._close_later
        )
        self._claims: list[LeaseClaim] = []
        self._telling: asyncio.TimerHandle | None = None

    async def place(self, call: Call, remaining_s: float) -> Placed | None:
        """Where a request may go; None: through the router.

        Raises SpillwayError where nobody would serve the request.
        """
        loop = asyncio.get_running_loop()
        if not self._paths.may_ask(loop.time()):
            return None
        connection = self._connections.take()
        try:
            placement = await FleetStub(connection.channel).Place(
                question_of(call, remaining_s), metadata=call.told, timeout=remaining_s
            )
        except grpc.aio.AioRpcError as error:
            code, trailers = error.code(), error.trailing_metadata()
            if code is grpc.StatusCode.UNIMPLEMENTED:
                self._paths.not_offered(loop.time())
            if goes_through(code):
                return None
            request_id = call.request.request_id
            raise error_of(
                code, error.details(), trailers, connection.address, request_id
            ) from None
        finally:
            self._connections.give_back(connection)
        return Placed(placement) if placement.address else None

    async def open(
        self, placed: Placed, request: pb.GenerateRequest, metadata: Metadata, timeout_s: float
    ) -> "DirectCall | None":
        """The request on its way to its endpoint; None where that cannot be reached."""
        address, loop = placed.placement.address, asyncio.get_running_loop()
        if not self._paths.may_try(address, loop.time()):
            self._paths.missed(loop.time())
            return None
        channel = self._channels.take(address)
        try:
            connected = await _connected(channel, min(CONNECT_S, timeout_s))
        except BaseException:
            self._channels.give_back(channel)
            raise
        if not connected:
            self._channels.give_back(channel)
            self._paths.failed(address, loop.time())
            return None
        self._paths.reached(address)
        request.request_id = placed.placement.request_id
        call = inference_pb2_grpc.InferenceStub(channel).GenerateStream(
            request, metadata=(*metadata, *placed.metadata), timeout=timeout_s
        )
        return DirectCall(placed, call, channel, self)

    def give_back(self, channel: grpc.aio.Channel) -> None:
        """A call on this channel has ended."""
        self._channels.give_back(channel)

    def doubt(self, address: str, channel: grpc.aio.Channel) -> None:
        """Nothing answers on this channel, which may seem to stand for long yet."""
        self._channels.retire(address, channel)
        self._paths.failed(address, asyncio.get_running_loop().time())

    async def close(self) -> None:
        """Close the connections to endpoints; what still streams on them is cancelled."""
        for channel in self._channels.clear():
            await channel.close()
        await self._flush()
        await asyncio.gather(*self._closing)

    def tell(self, claim: LeaseClaim, loop: asyncio.AbstractEventLoop) -> None:
        """Tell the router soon, with what else there is to tell. Nothing depends on it."""
        if len(self._claims) < _CLAIMS_MAX:
            self._claims.append(claim)
        if self._telling is None:
            self._telling = loop.call_later(_TELL_S, self._begin_flush)

    def _begin_flush(self) -> None:
        self._begin(self._flush())

    async def _flush(self) -> None:
        if self._telling is not None:
            self._telling.cancel()
        self._telling = None
        claims, self._claims = self._claims, []
        if not claims:
            return
        connection = self._connections.take()
        try:
            report = FleetStub(connection.channel).Report
            await report(ReportRequest(claims=claims), timeout=REPORT_S)
        except grpc.aio.AioRpcError:
            pass  # the endpoints tell it too
        finally:
            self._connections.give_back(connection)

    def _close_later(self, channel: grpc.aio.Channel) -> None:
        self._begin(channel.close())

    def _begin(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


class DirectCall:
    """A call to an endpoint, in the shape of one to a router, which notices that it falls silent.

    A silent endpoint is asked whether it lives. If it does not answer, or answers and still gives
    nothing for some times as long, the call is given up.
    """

    def __init__(
        self,
        placed: Placed,
        call: Any,
        channel: grpc.aio.Channel,
        direct: Direct,
    ) -> None:
        self.placed = placed
        self.end = LeaseClaim.BROKE_OFF  # as the router is told, should it have to go on there
        self._call = call
        self._check = HealthStub(channel).Check
        self.channel = channel
        self._direct = direct
        self._loop = asyncio.get_running_loop()
        self._begun_s = self._loop.time()
        self._silence = Silence(placed.placement, self._begun_s)
        self._claim = LeaseClaim(lease=placed.placement.lease)
        self._finished = False
        self._over = False
        self._given_up = ""
        self._asking: asyncio.Task[None] | None = None
        self._timer = self._loop.call_later(self._silence.left_s(self._begun_s), self._look)

    async def read(self) -> Any:
        """The next message, or grpc.aio.EOF. Raises grpc.aio.AioRpcError where it broke off."""
        self._silence.listen(self._loop.time())
        try:
            response = await self._call.read()
        except grpc.aio.AioRpcError as error:
            if not self._claim.messages and error.code() is not grpc.StatusCode.UNAVAILABLE:
                self.end = LeaseClaim.REFUSED
            self._stop()
            raise
        except asyncio.CancelledError:
            if self._given_up and not _task_is_cancelled():
                self._stop()
                raise broken(self._given_up) from None
            raise
        if response is grpc.aio.EOF:
            self._stop()
            if not self._finished:
                raise broken("the endpoint ended the answer in its middle")
            self._say(LeaseClaim.COMPLETE)
            return response
        if was_ended(response):
            self._stop()
            self._call.cancel()
            raise broken("the endpoint was told to end the answer")
        self._note(response)
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

    def _note(self, response: pb.GenerateResponse) -> None:
        now_s, outputs = self._loop.time(), response.outputs
        self._silence.moved(now_s)
        if not self._claim.messages:
            self._claim.ttft_s = now_s - self._begun_s
        self._claim.messages += 1
        self._claim.output_tokens += outputs.num_tokens
        self._finished = outputs.HasField("finish_info")

    def _say(self, end: "LeaseClaim.End") -> None:
        self._claim.end = end
        self._claim.duration_s = self._loop.time() - self._begun_s
        if not self._loop.is_closed():  # as it may be for a stream that nobody held any more
            self._direct.tell(self._claim, self._loop)

    def _stop(self) -> None:
        self._over = True
        self._timer.cancel()
        if self._asking is not None:
            self._asking.cancel()

    def _look(self) -> None:
        left_s = self._silence.left_s(self._loop.time())
        if left_s > 0.0:
            self._timer = self._loop.call_later(left_s, self._look)
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
                    self._direct.doubt(self.placed.placement.address, self.channel)
                return
        if not self._over:
            self._silence.is_believed = True
            self._look()

    def _give_up(self, why: str) -> bool:
        """Unless a message came meanwhile."""
        if self._over or self._silence.left_s(self._loop.time()) > 0.0:
            return False
        self._given_up = f"{self.placed.placement.endpoint} has fallen silent: {why}"
        self._call.cancel()
        return True


async def _connected(channel: grpc.aio.Channel, within_s: float) -> bool:
    """Whether a connection stands, or can be made within this time."""
    state = channel.get_state(try_to_connect=True)
    if state is _READY:
        return True
    try:
        async with asyncio.timeout(within_s):
            await channel.wait_for_state_change(state)
            while (state := channel.get_state(try_to_connect=True)) not in {_READY, _FAILED}:
                await channel.wait_for_state_change(state)
    except TimeoutError:
        return False
    return state is _READY


def _task_is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
