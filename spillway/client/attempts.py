"""The attempts at one answer, by either kind of client: what is sent, and what follows a break."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import grpc

from spillway.client.answer_span import AnswerSpan
from spillway.client.connections import Connections
from spillway.client.ending import Ending, Pairs, ending_of
from spillway.client.errors import error_of
from spillway.client.lease_account import LeaseAccount
from spillway.client.options import Call
from spillway.client.placement import Placed
from spillway.client.resumption import Resumption, break_of
from wire.spillway.v1.fleet_pb2 import LeaseClaim
from wire.status import Metadata
from wire.vllm import inference_pb2 as pb
from wire.vllm import inference_pb2_grpc


class EndpointCall(Protocol):
    """A call to an endpoint, in the shape of one to a router."""

    placed: Placed
    account: LeaseAccount


@dataclass(frozen=True, slots=True)
class Started:
    """An attempt that was sent."""

    attempts: "Attempts"  # whose it is
    call: Any  # grpc.aio.UnaryStreamCall, or its synchronous counterpart
    address: str
    give_back: Callable[[], None]  # its connection, once
    came_back: bool = False  # from an endpoint, to the router
    direct: EndpointCall | None = None  # the call, where it is one to an endpoint


class Attempts:
    """The first, and one for each time that the answer has to go on elsewhere.

    Times are seconds of any clock, by which the answer has until `give_up_s`.
    """

    _came_from: Metadata = ()
    """What the router is told of where the request has been."""

    def __init__(
        self, connections: Connections[Any], call: Call, resume_s: float, give_up_s: float
    ) -> None:
        self.resumption = Resumption(call, resume_s)
        self.span = AnswerSpan(call)
        self._connections = connections
        self._request_id = call.request.request_id
        self._give_up_s = give_up_s

    def remaining_s(self, now_s: float) -> float:
        """What is left of the time that the answer has."""
        return max(0.0, self._give_up_s - now_s)

    def through_router(self, now_s: float) -> Started:
        """Send the request for what is left of the answer to the router."""
        request, metadata = self.resumption.begin()
        connection = self._connections.take()
        call = inference_pb2_grpc.InferenceStub(connection.channel).GenerateStream(
            request,
            metadata=(
                *metadata,
                *self._came_from,
                *self.span.metadata,
                *self._connections.credentials,
            ),
            timeout=self.remaining_s(now_s),
        )
        self.span.sent(connection.address)
        give_back = partial(self._connections.give_back, connection)
        came_back = bool(self._came_from)
        return Started(self, call, connection.address, give_back, came_back=came_back)

    def at_endpoint(self, call: EndpointCall, give_back: Callable[[], None]) -> Started:
        """The request was sent to where the router said."""
        self.span.sent(call.placed.placement.address)
        return Started(self, call, call.placed.placement.address, give_back, direct=call)

    def unreachable(self, placed: Placed) -> None:
        """It could not be sent there: the router is told with the next attempt."""
        self._came_from = placed.coming_back(LeaseClaim.UNREACHABLE)

    def after(
        self, started: Started, error: grpc.RpcError, now_s: float
    ) -> pb.GenerateResponse | float:
        """What follows an attempt that broke: the last message, where that is all that is missing.

        Else it is how many seconds to wait before the next attempt.

        Raises SpillwayError where the answer cannot go on.
        """
        broke = break_of(error, direct=started.direct is not None)
        if started.direct is not None:
            end = started.direct.account.broken
            self._came_from = started.direct.placed.coming_back(end)
        last = self.resumption.ending(broke)
        if last is not None:
            return last
        pause_s = self.resumption.pause_s(broke, len(self._connections.addresses), now_s)
        if pause_s is None or now_s + pause_s >= self._give_up_s:
            self.span.fail(error.code())
            raise error_of(error, started.address, self._request_id) from None
        self._connections.leave(started.address)
        return pause_s

    def ending(self, started: Started, trailers: Pairs | None = None) -> Ending:
        """Where the answer came from, of which this attempt was the last."""
        resumption = self.resumption
        resumption.keep(trailers)
        came_back = started.came_back
        ending = ending_of(trailers, self._request_id, resumption.resumed, came_back=came_back)
        self.span.complete(ending, resumption.output_tokens)
        return ending
