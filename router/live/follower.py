"""Follows one endpoint: its connection, who it is, its load, its round trip and its health.

The connection decides whether an endpoint takes requests: its loss is known within milliseconds,
where lists lag by seconds. A link that swallows packets breaks no connection, so two probes in a
row without an answer count as a loss, too, and so does a single one where load reports have stopped
coming; and an endpoint that says NOT_SERVING is as good as lost.

A connection may also be dead on one side only, and gRPC, which may not ping often enough to find
out, takes it for ready. After some more probes the endpoint is deaf on it: it needs another one.
"""

import asyncio
import contextlib
import logging
import random
from dataclasses import dataclass
from typing import Final, Protocol

import grpc
from grpc_health.v1.health_pb2_grpc import HealthStub

from router.live.backoff import Backoff
from router.live.identity import Identity, NotVllmError, identify
from router.live.load_watch import LoadWatch
from router.live.probe import Answer, probe
from router.live.timed_core import now_ns
from router.observe.event import ConnectionChanged, EndpointUp, Happening, RoundTripMeasured
from router.policy.endpoint import Endpoint
from router.policy.identity import UNKNOWN, EngineIdentity
from router.policy.silence import LongestSilence
from router.policy.units import NS_PER_S
from wire.spillway.v1.load_pb2 import LoadReport

_READY: Final = grpc.ChannelConnectivity.READY
_REFUSALS: Final = frozenset({grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED})
_log = logging.getLogger(__name__)

_IDENTIFY_TIMEOUT_S: Final = 5.0
_UNANSWERED_MAX: Final = 2
_DEAF_AFTER: Final = 4
_DOUBT_S: Final = 0.25
_DOUBT_ANSWERS: Final = 2
_DOUBT_MAX_S: Final = 0.5
"""How long a silent endpoint has to answer: a moment, and twice its longest answer of late."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often an endpoint is looked at, in seconds."""

    rtt_interval_s: float
    load_silence_max_s: float


class Witness(Protocol):
    """Hears what was heard of an endpoint, as it came."""

    def on_answer(self, endpoint: str, answer: Answer) -> None:
        """It was probed."""
        ...

    def on_report(self, endpoint: str, report: LoadReport) -> None:
        """It reported its load."""
        ...


class Told(Protocol):
    """Who is told of an endpoint."""

    @property
    def router(self) -> str:
        """The id of the router that follows it."""
        ...

    def tell(self, happening: Happening) -> object:
        """Something happened."""
        ...


class Follower:
    """What is known of one endpoint, kept up to date by `run`.

    One that is fed watches its own connection, asks who is there, and probes only where it is in
    doubt. Load reports and the answers to regular probes come from a process that hears them for
    all workers of this host.
    """

    def __init__(
        self,
        core: Told,
        site: str,
        name: str,
        channel: grpc.aio.Channel,
        pace: Pace,
        *,
        fed: bool = False,
        witness: Witness | None = None,
    ) -> None:
        self.identity: Identity | None = None
        self.connected = False
        self.engine = UNKNOWN
        self._core = core
        self._site = site
        self._name = name
        self._channel = channel
        self._pace = pace
        self._fed = fed
        self._said = UNKNOWN  # what it was reported to run, if it is who was met here
        self._witness = witness
        self._check = HealthStub(channel).Check
        self._refused: grpc.StatusCode | None = None  # that was logged since it was met
        self._unanswered = 0
        self._answers = LongestSilence(0)  # before answers to probes
        self._silent = asyncio.Event()
        self._serving = True
        self._ready = asyncio.Event()
        self._known = asyncio.Event()  # ready, and it has said who it is
        self._doubted = asyncio.Event()  # whether it still is who it said
        self.load = LoadWatch(self, core.router, name, channel, pace.load_silence_max_s)
        self._left = False

    @property
    def is_ready(self) -> bool:
        """Whether its connection stands."""
        return self._ready.is_set()

    @property
    def is_deaf(self) -> bool:
        """Whether the connection seems to stand, and nothing has answered on it for long."""
        return self._ready.is_set() and self._unanswered >= _DEAF_AFTER

    def leave(self) -> None:
        """The endpoint is no longer listed: from now on the core hears nothing of it."""
        self._left = True

    def doubt(self) -> None:
        """Its reports have stopped coming: asked at once, it has to answer at once."""
        self._silent.set()

    def on_report(self, report: LoadReport) -> None:
        """A report came: whatever was thought of it, it lives and can be reached."""
        if self._witness is not None:
            self._witness.on_report(self._name, report)
        if self._unanswered:
            self._unanswered = 0
            self._settle()

    def on_restart(self) -> None:
        """Another instance reports: whether it is who was met here has to be asked."""
        self._doubted.set()

    def hear_answer(self, answer: Answer) -> None:
        """A probe for all was answered: it lives, though not necessarily for this connection."""
        if answer.rtt_ns is not None:
            self._serving = answer.serving
            self.tell(RoundTripMeasured(self._name, answer.rtt_ns))
            self._settle()

    async def run(self) -> None:
        """Connects, and follows the endpoint through losses of its connection, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch_connection())
            tasks.create_task(self._get_to_know())
            tasks.create_task(self._probe())
            if not self._fed:
                tasks.create_task(self.load.run(self._known))

    async def _watch_connection(self) -> None:
        while True:
            state = self._channel.get_state(try_to_connect=True)
            if state is _READY:
                self._ready.set()
            else:
                self._ready.clear()
                self._known.clear()
                self._doubted.set()
                self.engine = UNKNOWN  # another process may answer next
                self._settle()
            await self._channel.wait_for_state_change(state)

    async def _get_to_know(self) -> None:
        """Asks who is there on every new connection, and whenever there is doubt."""
        backoff = Backoff(0.1, 2.0)
        while True:
            await self._ready.wait()
            self._doubted.clear()
            try:
                identity = await identify(self._channel, _IDENTIFY_TIMEOUT_S)
            except (grpc.aio.AioRpcError, NotVllmError) as error:
                self._log_refusal(error)
                await asyncio.sleep(backoff.wait_s())
                continue
            backoff.reset()
            if self._ready.is_set():
                self._meet(identity)
            await self._doubted.wait()

    def _log_refusal(self, error: Exception) -> None:
        if isinstance(error, grpc.aio.AioRpcError) and error.code() in _REFUSALS:
            if error.code() is not self._refused:
                _log.warning("%s refuses this router: %s", self._name, error.details())
            self._refused = error.code()

    def _meet(self, identity: Identity) -> None:
        self._refused = None
        if self._fed and self._is_who_reports(identity):
            self.engine = self._said
        self._list(identity)
        self.tell(RoundTripMeasured(self._name, identity.rtt_ns))
        self._answers.add(identity.rtt_ns, now_ns())
        self._unanswered, self._serving = 0, True
        self._known.set()
        self._settle()

    def learn(self, engine: EngineIdentity) -> None:
        """The endpoint said what it runs: streams of its like may go on there."""
        self._said = engine
        if self._fed and (self.identity is None or not self._is_who_reports(self.identity)):
            return
        self.engine = engine
        if self.identity is not None:
            self._list(self.identity)

    def _is_who_reports(self, identity: Identity) -> bool:
        """Whether reports that came another way are of who was met on this connection.

        A router below may be several workers, of which each has its own id.
        """
        report = self.load.last
        if report is None:
            return False
        return report.HasField("gateway") or report.instance_id == identity.server.instance_id

    def _list(self, identity: Identity) -> None:
        self.identity = identity
        first, *aliases = identity.names
        endpoint = Endpoint(
            name=self._name,
            site=self._site,
            model=first,
            model_aliases=tuple(aliases),
            max_model_tokens=identity.server.max_model_len,
            identity=self.engine,
        )
        self.tell(EndpointUp(endpoint))

    async def _probe(self) -> None:
        interval_s = self._pace.rtt_interval_s
        while True:
            await self._known.wait()
            if self._fed and not self._unanswered:
                await self._silent.wait()
            in_doubt = self._silent.is_set()
            longest_s = self._answers.value_at(now_ns()) / NS_PER_S
            wait_s = min(interval_s, _DOUBT_MAX_S, _DOUBT_S + _DOUBT_ANSWERS * longest_s)
            answer = await probe(self._check, wait_s if in_doubt else interval_s)
            self._judge(answer, in_doubt=in_doubt)
            self._silent.clear()
            await asyncio.sleep(min(_DOUBT_S, interval_s))  # at most so often, whatever is asked
            pause_s = interval_s * random.uniform(0.9, 1.1) - _DOUBT_S
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, pause_s)):
                    await self._silent.wait()

    def _judge(self, answer: Answer, *, in_doubt: bool) -> None:
        if self._witness is not None:
            self._witness.on_answer(self._name, answer)
        if answer.rtt_ns is None:
            self._unanswered += _UNANSWERED_MAX if in_doubt else 1
        else:
            self._unanswered = 0
            self._serving = answer.serving
            self._answers.add(answer.rtt_ns, now_ns())
            self.tell(RoundTripMeasured(self._name, answer.rtt_ns))
        self._settle()

    def _settle(self) -> None:
        """Tells the core whether the endpoint takes requests, where that has changed."""
        connected = self._known.is_set() and self._serving and self._unanswered < _UNANSWERED_MAX
        if connected != self.connected:
            self.connected = connected
            silent = not connected and self._known.is_set() and self._serving
            self.tell(ConnectionChanged(self._name, connected, silent))

    def tell(self, happening: Happening) -> None:
        """Tells the core, as long as the endpoint is listed."""
        # A task that is being cancelled may take one more step, and an endpoint that was gone
        # would be up again.
        if not self._left:
            self._core.tell(happening)
