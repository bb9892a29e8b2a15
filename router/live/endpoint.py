"""One endpoint as the live router holds it: a channel, calls on it, and what is followed of it."""

import asyncio
import time
from typing import Any, Final

import grpc

from router.live import background
from router.live.abandoned import Abandoned
from router.live.channel import Dialler
from router.live.follower import Follower, Pace, Told, Witness
from router.live.lease_desk import LeaseDesk
from router.live.link_keeper import LinkKeeper
from router.live.open_calls import OpenCalls
from router.live.timed_core import now_ns
from router.live.upstream import UpstreamCall
from router.live.why_unreached import log_why_unreached
from router.observe.event import EndpointGone
from wire.spillway.v1.tokenizer_pb2_grpc import TokenizerStub
from wire.status import Metadata
from wire.vllm import control_pb2
from wire.vllm.control_pb2_grpc import ControlStub

_NO_ANSWER: Final = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED})

_TIME_BELOW: Final = 0.98
"""gRPC rounds a timeout up on its way, by as much as a hundredth."""


class LiveEndpoint:
    """An endpoint from the time it is listed until it is not and its last call is over."""

    def __init__(
        self,
        core: Told,
        site: str,
        address: str,
        pace: Pace,
        dialler: Dialler,
        desk: LeaseDesk,
        *,
        link: bool,
        fed: bool = False,
        witness: Witness | None = None,
    ) -> None:
        """`dialler` is its site's; `link` says whether it may be reached over one it offers."""
        self.name = f"{site}/{address}"
        self.site = site
        self.address = address
        self._core = core
        self._desk = desk
        self._dialled = dialler.open(address)
        self._channel = self._dialled.channel
        # Bytes in, bytes out: no serialiser on either side.
        self._generate = self._channel.unary_unary("/vllm.Inference/Generate")
        self._stream = self._channel.unary_stream("/vllm.Inference/GenerateStream")
        self.read_tokenizer = TokenizerStub(self._channel).ReadTokenizer
        self._abort = ControlStub(self._channel).Abort
        self.abandoned = Abandoned(self.abort, self.name)
        self.follower = Follower(
            core, site, self.name, self._channel, pace, fed=fed, witness=witness
        )
        self._following = background.begin(self.follower.run(), f"follow {self.name}")
        bytes_max = dialler.message_bytes_max
        self.link = LinkKeeper(self.name, self._channel, self.follower.load, bytes_max)
        self._keeping: asyncio.Task[None] | None = None
        if link:
            self._keeping = background.begin(self.link.run(), f"link to {self.name}")
        self._explaining: asyncio.Task[None] | None = None
        if self._dialled.is_tls:
            explaining = log_why_unreached(self.name, self._channel)
            self._explaining = background.begin(explaining, f"explain {self.name}")
        self.calls = OpenCalls()  # for whose time the channel is open, even when it is retired

    def time_of(self, remaining_s: float) -> float:
        """What it gets of the time that is left: a router less, so that its word comes in time."""
        report = self.follower.load.last
        routes = report is not None and report.HasField("gateway")
        return remaining_s * _TIME_BELOW if routes else remaining_s

    def open_stream(
        self,
        request: bytes,
        *,
        timeout_s: float,
        metadata: Metadata,
    ) -> UpstreamCall:
        """Sends a request for a stream, over the link where there is one that takes it."""
        metadata = (*metadata, *self._pass())
        session = self.link.open(request, timeout_s, metadata)
        if session is not None:
            return session
        call: UpstreamCall = self._stream(request, timeout=timeout_s, metadata=metadata)
        return call

    def generate(self, request: bytes, *, timeout_s: float, metadata: Metadata) -> Any:
        """Sends a request for an answer that comes whole; gRPC's call, to be awaited."""
        return self._generate(request, timeout=timeout_s, metadata=(*metadata, *self._pass()))

    @property
    def instance(self) -> str:
        """Which one answers at the address; empty where it does not say."""
        identity = self.follower.identity
        return "" if identity is None else identity.server.instance_id

    @property
    def takes_leases(self) -> bool:
        """Whether clients may come there with a lease, and it has said so itself of late."""
        report = self.follower.load.last
        if not (self.follower.connected and report is not None and report.takes_leases):
            return False
        return report.instance_id == self.instance

    @property
    def requires_leases(self) -> bool:
        """Whether nobody comes there without one, and tenants' terms hold there."""
        report = self.follower.load.last
        return self.takes_leases and report is not None and report.requires_leases

    @property
    def clock_unix_ns(self) -> int:
        """The time by the endpoint's own clock, as far as it has told; never ahead of it."""
        ahead_ns = self.follower.load.clock_ahead_ns
        return time.time_ns() if ahead_ns is None else now_ns() + ahead_ns

    def _pass(self) -> Metadata:
        return self._desk.pass_for(self.name, self.instance, self.clock_unix_ns)

    @property
    def is_outdated(self) -> bool:
        """Whether its connection is lost, and another would be made with what is of old."""
        return not self.follower.is_ready and self._dialled.is_outdated

    async def abort(self, request_ids: list[str], timeout_s: float) -> bool:
        """Ends requests by the ids they were sent with. False where nobody answers."""
        request = control_pb2.AbortRequest(request_ids=request_ids)
        try:
            await self._abort(request, timeout=timeout_s, metadata=self._pass())
        except grpc.aio.AioRpcError as error:
            return error.code() not in _NO_ANSWER
        return True

    def leave(self) -> None:
        """No longer listed: no new requests. `finish` follows."""
        self.hand_over()
        self._desk.forget(self.name)
        self._core.tell(EndpointGone(self.name))

    def hand_over(self) -> None:
        """Another follows the endpoint from now on, and the core hears of no change."""
        self.follower.leave()
        self._following.cancel()

    async def finish(self) -> None:
        """Closes the channel once the last call on it is over."""
        await asyncio.gather(self._following, return_exceptions=True)
        await self._end_explaining()
        await self.abandoned.close()
        await self.calls.none.wait()
        await self._end_link()
        await self._channel.close()

    async def close(self) -> None:
        """Ends everything now, calls included."""
        self.follower.leave()
        await background.end(self._following)
        await self._end_explaining()
        await self.abandoned.close()
        await self._end_link()
        await self._channel.close()

    async def _end_explaining(self) -> None:
        if self._explaining is not None:
            await background.end(self._explaining)

    async def _end_link(self) -> None:
        if self._keeping is not None:
            await background.end(self._keeping)
