"""The direct mode of the synchronous client: see `spillway.client.direct`."""

import threading
import time
from typing import Any, Self

import grpc
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


class SyncDirect:
    """Placements, connections to endpoints, and what is told of them, of one client."""

    def __init__(self, connections: Connections[grpc.Channel]) -> None:
        self._connections = connections
        self._paths = Paths()
        self._channels = EndpointChannels(
            lambda at: grpc.insecure_channel(at, options=CHANNEL_OPTIONS),
            lambda channel: channel.close(),
        )

    def place(self, call: Call, remaining_s: float) -> Placed | None:
        """Where a request may go; None: through the router.

        Raises SpillwayError where nobody would serve the request.
        """
        if not self._paths.may_ask(time.monotonic()):
            return None
        connection = self._connections.take()
        try:
            placement = FleetStub(connection.channel).Place(
                question_of(call, remaining_s), metadata=call.metadata, timeout=remaining_s
            )
        except grpc.RpcError as caught:
            error: Any = caught
            code, trailers = error.code(), error.trailing_metadata()
            if code is grpc.StatusCode.UNIMPLEMENTED:
                self._paths.not_offered(time.monotonic())
            if goes_through(code):
                return None
            request_id = call.request.request_id
            raise error_of(
                code, error.details(), trailers, connection.address, request_id
            ) from None
        finally:
            self._connections.give_back(connection)
        return Placed(placement) if placement.address else None

    def open(
        self, placed: Placed, request: pb.GenerateRequest, metadata: Metadata, timeout_s: float
    ) -> "SyncDirectCall | None":
        """The request on its way to its endpoint; None where that cannot be reached."""
        address, now_s = placed.placement.address, time.monotonic()
        if not self._paths.may_try(address, now_s):
            self._paths.missed(now_s)
            return None
        channel = self._channels.take(address)
        try:
            grpc.channel_ready_future(channel).result(min(CONNECT_S, timeout_s))
        except grpc.FutureTimeoutError:
            self._channels.give_back(channel)
            self._paths.failed(address, time.monotonic())
            return None
        except BaseException:
            self._channels.give_back(channel)
            raise
        self._paths.reached(address)
        request.request_id = placed.placement.request_id
        call = inference_pb2_grpc.InferenceStub(channel).GenerateStream(
            request, metadata=(*metadata, *placed.metadata), timeout=timeout_s
        )
        return SyncDirectCall(placed, call, channel, self)

    def give_back(self, channel: grpc.Channel) -> None:
        """A call on this channel has ended."""
        self._channels.give_back(channel)

    def doubt(self, address: str, channel: grpc.Channel) -> None:
        """Nothing answers on this channel, which may seem to stand for long yet."""
        self._channels.retire(address, channel)
        self._paths.failed(address, time.monotonic())

    def close(self) -> None:
        """Close the connections to endpoints; what still streams on them is cancelled."""
        for channel in self._channels.clear():
            channel.close()

    def tell(self, claim: LeaseClaim) -> None:
        """Tell the router, and wait for nothing: the endpoints tell it too."""
        connection = self._connections.take()
        report = FleetStub(connection.channel).Report
        telling = report.future(ReportRequest(claims=[claim]), timeout=REPORT_S)
        telling.add_done_callback(lambda _: self._connections.give_back(connection))


class SyncDirectCall:
    """A call to an endpoint, in the shape of one to a router, which notices that it falls silent.

    A thread looks after it for as long as it lasts.
    """

    def __init__(
        self, placed: Placed, call: Any, channel: grpc.Channel, direct: SyncDirect
    ) -> None:
        self.placed = placed
        self.end = LeaseClaim.BROKE_OFF
        self._call = call
        self._check = HealthStub(channel).Check
        self.channel = channel
        self._direct = direct
        self._begun_s = time.monotonic()
        self._silence = Silence(placed.placement, self._begun_s)
        self._claim = LeaseClaim(lease=placed.placement.lease)
        self._finished = False
        self._given_up = ""
        self._over = threading.Event()
        threading.Thread(target=self._look, name="silence", daemon=True).start()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> pb.GenerateResponse:
        """The next message. Raises grpc.RpcError where the answer broke off."""
        self._silence.listen(time.monotonic())
        try:
            response: pb.GenerateResponse = next(self._call)
        except StopIteration:
            self._over.set()
            if not self._finished:
                raise broken("the endpoint ended the answer in its middle") from None
            self._say(LeaseClaim.COMPLETE)
            raise
        except grpc.RpcError as caught:
            error: Any = caught
            self._over.set()
            if self._given_up:
                raise broken(self._given_up) from None
            if not self._claim.messages and error.code() is not grpc.StatusCode.UNAVAILABLE:
                self.end = LeaseClaim.REFUSED
            raise
        if was_ended(response):
            self._over.set()
            self._call.cancel()
            raise broken("the endpoint was told to end the answer")
        self._note(response)
        return response

    def initial_metadata(self) -> Metadata:
        """What a router would say of what answers."""
        return self.placed.initial

    def trailing_metadata(self) -> Metadata:
        """What a router would say in the end."""
        return self.placed.trailers

    def cancel(self) -> None:
        """The answer is wanted no longer."""
        if not self._over.is_set():
            self._over.set()
            self._say(LeaseClaim.CANCELLED)
        self._call.cancel()

    def _note(self, response: pb.GenerateResponse) -> None:
        now_s, outputs = time.monotonic(), response.outputs
        self._silence.moved(now_s)
        if not self._claim.messages:
            self._claim.ttft_s = now_s - self._begun_s
        self._claim.messages += 1
        self._claim.output_tokens += outputs.num_tokens
        self._finished = outputs.HasField("finish_info")

    def _say(self, end: LeaseClaim.End) -> None:
        self._claim.end = end
        self._claim.duration_s = time.monotonic() - self._begun_s
        self._direct.tell(self._claim)

    def _look(self) -> None:
        """Until the call is over, or is given up."""
        silence = self._silence
        while not self._over.wait(max(0.001, silence.left_s(time.monotonic()))):
            if silence.left_s(time.monotonic()) > 0.0:
                continue
            asked = not silence.is_believed
            why = self._ask() if asked else "it answers, and gives nothing"
            if why and silence.left_s(time.monotonic()) <= 0.0:
                self._given_up = f"{self.placed.placement.endpoint} has fallen silent: {why}"
                if asked:
                    self._direct.doubt(self.placed.placement.address, self.channel)
                self._call.cancel()
                return

    def _ask(self) -> str:
        """Why the endpoint is given up; empty where it answers."""
        try:
            self._check(HealthCheckRequest(), timeout=ANSWER_S)
        except grpc.RpcError as caught:
            error: Any = caught
            if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
                return "it does not answer"
        self._silence.is_believed = True
        return ""
