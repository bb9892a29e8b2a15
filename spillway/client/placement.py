"""Going to the endpoint itself: where a router says, for as long as that works.

What is the same for the client and its synchronous twin: the placement, how long a silence is taken
for one between two tokens, and which endpoints cannot be reached from here.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import grpc
import grpc.aio

from spillway.client.options import Call
from wire.spillway.v1.fleet_pb2 import LeaseClaim, Placement, PlaceRequest
from wire.spillway.v1.lease import LEASE_END_KEY, LEASE_KEY
from wire.spillway.v1.resume import IDENTITY_KEY
from wire.status import Metadata
from wire.vllm.inference_pb2 import FinishInfo, GenerateResponse

CONNECT_S = 0.5
"""What a connection to an endpoint may take: within a continent it takes a tenth of it."""

ANSWER_S = 0.5
"""What an endpoint that is asked whether it lives may take to answer."""

REPORT_S = 5.0
"""What a report may take. Nobody waits for it."""

AWAY_S = 30.0
"""For how long an endpoint that could not be reached is not tried again."""

ENDPOINTS_MAX = 64
"""Connections to endpoints that are kept open; what is idle for the longest is closed."""

BELIEVED_S = 5.0
"""How long at least a stream may be silent at an endpoint that answers: one that is short of cache
memory sets streams aside, and to come back for each would only add to its trouble."""

_FAILURES_MAX = 3
_PATIENCES = 4  # of an endpoint that answers, but for this stream
_PATIENCES_FIRST = 16  # the same before the first token: it may stand in a queue there
_LONGEST = 2.5
_STEPS = 8
_ELSEWHERE = frozenset(
    {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.CANCELLED}
)

ChannelT = TypeVar("ChannelT")


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a request may go, and what it has to show there."""

    placement: Placement

    @property
    def metadata(self) -> Metadata:
        """What goes with the request to the endpoint."""
        return ((LEASE_KEY, self.placement.lease),)

    def coming_back(self, end: "LeaseClaim.End") -> Metadata:
        """What goes with it to the router, after this end."""
        return (*self.metadata, (LEASE_END_KEY, LeaseClaim.End.Name(end)))

    @property
    def initial(self) -> Metadata:
        """What a router would say of what answers."""
        identity = self.placement.identity
        return ((IDENTITY_KEY, identity),) if identity else ()

    @property
    def trailers(self) -> Metadata:
        """What a router would say in the end."""
        placement = self.placement
        return (
            ("x-spillway-site", placement.site),
            ("x-spillway-endpoint", placement.endpoint),
            ("x-spillway-attempts", "1"),
            ("x-spillway-request-id", placement.request_id),
        )


def question_of(call: Call, remaining_s: float) -> PlaceRequest:
    """What the router is asked."""
    return PlaceRequest(request=call.request, deadline_s=remaining_s)


def goes_through(code: grpc.StatusCode) -> bool:
    """Whether a request whose placement failed like this goes through the router instead.

    Any other failure is what the request itself would get.
    """
    return code in _ELSEWHERE


def broken(details: str) -> grpc.aio.AioRpcError:
    """What a stream breaks with where gRPC itself has nothing to say."""
    nothing = grpc.aio.Metadata()
    return grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, nothing, nothing, details=details)


def was_ended(response: GenerateResponse) -> bool:
    """Whether an endpoint ended an answer because it was told to, and not by its client."""
    finish = response.outputs.finish_info
    return finish.finish_reason == FinishInfo.ABORTED


class Silence:
    """How long a stream has been silent while it was listened to, against how long it may be.

    At first it may for as long as the router says. An engine that slows down raises the limit by
    silences that end by themselves. Times are seconds of any clock.
    """

    def __init__(self, placement: Placement, now_s: float) -> None:
        self._limit_s = placement.first_token_s
        self._between_s = placement.silence_s
        self._moved_s = now_s
        self._begun_s = 0.0
        self._longest_s = 0.0
        self._count = 0
        self.is_listening = False
        self.is_believed = False  # it was asked, and answers

    def listen(self, now_s: float) -> None:
        """From now on a message is waited for."""
        self.is_listening = True
        self._moved_s = max(self._moved_s, now_s)

    def moved(self, now_s: float) -> None:
        """A message came."""
        if self._count:
            self._longest_s = max(self._longest_s, now_s - self._moved_s)
            usual_s = (now_s - self._begun_s) / self._count
            self._limit_s = max(self._between_s, _LONGEST * self._longest_s, _STEPS * usual_s)
        else:
            self._begun_s = now_s
            self._limit_s = self._between_s
        self._count += 1
        self._moved_s = now_s
        self.is_listening = self.is_believed = False

    def left_s(self, now_s: float) -> float:
        """What is left until it has been silent for too long; not above 0 where it has."""
        limit_s = self._limit_s
        if self.is_believed:
            times = _PATIENCES if self._count else _PATIENCES_FIRST
            limit_s = max(BELIEVED_S, times * limit_s)
        return limit_s - (now_s - self._moved_s) if self.is_listening else limit_s


class Paths:
    """Which endpoints can be reached from here, as far as it was tried."""

    def __init__(self) -> None:
        self._away_until_s: dict[str, float] = {}
        self._failures = 0  # in a row
        self._pause_until_s = float("-inf")
        self._lock = threading.Lock()

    def may_ask(self, now_s: float) -> bool:
        """Whether a placement is worth asking for."""
        return now_s >= self._pause_until_s

    def may_try(self, address: str, now_s: float) -> bool:
        """Whether an endpoint is worth connecting to."""
        return now_s >= self._away_until_s.get(address, now_s)

    def failed(self, address: str, now_s: float) -> None:
        """It could not be reached."""
        with self._lock:
            away = {at: until for at, until in self._away_until_s.items() if until > now_s}
            self._away_until_s = away | {address: now_s + AWAY_S}
        self.missed(now_s)

    def missed(self, now_s: float) -> None:
        """A placement was of no use. After some in a row none is asked for, for a while."""
        with self._lock:
            self._failures += 1
            if self._failures >= _FAILURES_MAX:
                self._pause_until_s = now_s + AWAY_S

    def reached(self, address: str) -> None:
        """A connection to it stands."""
        self._failures = 0
        if address in self._away_until_s:
            with self._lock:
                self._away_until_s.pop(address, None)

    def not_offered(self, now_s: float) -> None:
        """The router knows no placements: it is not asked again at once."""
        self._pause_until_s = now_s + AWAY_S


class EndpointChannels(Generic[ChannelT]):
    """A connection to each endpoint, with a bound on how many are kept."""

    def __init__(
        self, open_channel: Callable[[str], ChannelT], close: Callable[[ChannelT], None]
    ) -> None:
        self._open_channel = open_channel
        self._close = close
        self._all: OrderedDict[str, ChannelT] = OrderedDict()
        self._calls: dict[int, int] = {}  # by the identity of a channel that is in use
        self._retired: dict[int, ChannelT] = {}  # and closed when its last call has ended
        self._lock = threading.Lock()

    def take(self, address: str) -> ChannelT:
        """The channel to an endpoint, for one call, to be given back."""
        with self._lock:
            channel = self._all.get(address)
            if channel is None:
                channel = self._all[address] = self._open_channel(address)
            self._all.move_to_end(address)
            self._calls[id(channel)] = self._calls.get(id(channel), 0) + 1
            if len(self._all) > ENDPOINTS_MAX:
                self._drop_idle()
            return channel

    def give_back(self, channel: ChannelT) -> None:
        """The call has ended."""
        with self._lock:
            self._calls[id(channel)] -= 1
            if not self._calls[id(channel)]:
                del self._calls[id(channel)]
                if self._retired.pop(id(channel), None) is not None:
                    self._close(channel)

    def retire(self, address: str, channel: ChannelT) -> None:
        """Nothing answers on this one: the next call gets another."""
        with self._lock:
            if self._all.get(address) is channel:
                del self._all[address]
                self._retired[id(channel)] = channel

    def clear(self) -> list[ChannelT]:
        """Forget all; they are the caller's to close."""
        with self._lock:
            channels = [*self._all.values(), *self._retired.values()]
            self._all.clear()
            self._retired.clear()
            return channels

    def _drop_idle(self) -> None:
        idle = next((at for at, one in self._all.items() if id(one) not in self._calls), None)
        if idle is not None:
            self._close(self._all.pop(idle))
