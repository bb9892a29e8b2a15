"""The synchronous twin of `spillway.client.direct_call`."""

import threading
import time
from typing import Any, Protocol, Self

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest
from grpc_health.v1.health_pb2_grpc import HealthStub

from spillway.client.lease_account import LeaseAccount
from spillway.client.paths import Way
from spillway.client.placement import Placed, broken, was_ended
from spillway.client.silence import ANSWER_S, Silence
from wire.spillway.v1.fleet_pb2 import LeaseClaim
from wire.status import Metadata
from wire.vllm import inference_pb2 as pb


class Owner(Protocol):
    """Whose call it is."""

    def tell(self, claim: LeaseClaim) -> None:
        """Tell the router what became of the lease."""
        ...

    def doubt(self, way: Way, channel: grpc.Channel) -> None:
        """Nothing answers on this channel."""
        ...


class SyncDirectCall:
    """A call to an endpoint, in the shape of one to a router, which notices that it falls silent.

    A thread looks after it for as long as it lasts.
    """

    def __init__(self, placed: Placed, call: Any, channel: grpc.Channel, owner: Owner) -> None:
        self.placed = placed
        self._call = call
        self._check = HealthStub(channel).Check
        self.channel = channel
        self._owner = owner
        begun_s = time.monotonic()
        self._silence = Silence(placed.placement, begun_s)
        self.account = LeaseAccount(placed.placement.lease, begun_s)
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
            if not self.account.is_complete:
                raise broken("the endpoint ended the answer in its middle") from None
            self._say(LeaseClaim.COMPLETE)
            raise
        except grpc.RpcError as error:
            self._over.set()
            if self._given_up:
                raise broken(self._given_up) from None
            self.account.fail(error.code())
            raise
        if was_ended(response):
            self._over.set()
            self._call.cancel()
            raise broken("the endpoint was told to end the answer")
        now_s = time.monotonic()
        self._silence.moved(now_s)
        self.account.add(response, now_s)
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

    def _say(self, end: LeaseClaim.End) -> None:
        self._owner.tell(self.account.claim(end, time.monotonic()))

    def _look(self) -> None:
        """Until the call is over, or is given up."""
        silence = self._silence
        while not self._over.wait(max(0.001, silence.look_s(time.monotonic()))):
            if silence.left_s(time.monotonic()) > 0.0:
                continue
            asked = not silence.is_believed
            why = self._ask() if asked else "it answers, and gives nothing"
            if why and silence.left_s(time.monotonic()) <= 0.0:
                self._given_up = f"{self.placed.placement.endpoint} has fallen silent: {why}"
                if asked:
                    self._owner.doubt(self.placed.way, self.channel)
                self._call.cancel()
                return

    def _ask(self) -> str:
        """Why the endpoint is given up; empty where it answers."""
        try:
            self._check(HealthCheckRequest(), timeout=ANSWER_S)
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
                return "it does not answer"
        self._silence.believe()
        return ""
