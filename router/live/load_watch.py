"""Hears an endpoint's load reports, for as long as it has any to tell."""

import asyncio
import math
from typing import Final, Protocol

import grpc

from router.live.backoff import Backoff
from router.live.lease_accounts import accounts_of
from router.live.timed_core import now_ns
from router.observe.event import Happening, LoadHeard
from router.policy.adapters import AdapterLoad
from router.policy.gateway import FORECASTS_MAX, Forecast, Gateway
from router.policy.identity import EngineIdentity
from router.policy.load import LoadReport
from router.policy.pool import ADAPTERS_MAX
from router.policy.units import NS_PER_S, ns
from wire.spillway.v1 import load_pb2 as pb
from wire.spillway.v1.load_pb2_grpc import LoadStub

_SILENCES_MAX: Final = 3
"""A stream that is silent for so many times the longest silence asked for is opened anew."""

_UNIMPLEMENTED_RETRY_S: Final = 60.0
"""A server of vllm.Inference without load reports works without; it may be replaced by one with."""

_RATE_WINDOW_NS: Final = NS_PER_S

_UNIX_NS_MAX: Final = 1 << 62
"""The year 2116: no clock says more."""

_LOADED_MAX: Final = 256
"""Adapters that a report may call loaded: engines hold a few dozen."""

_LATENCY_MAX_S: Final = 3_600.0
"""Of a latency that is reported: a request that waits an hour has been refused long before."""


class Hearer(Protocol):
    """Who wants to know what an endpoint reports."""

    def tell(self, happening: Happening) -> None:
        """Something that the core is to hear."""
        ...

    def learn(self, engine: EngineIdentity) -> None:
        """The endpoint said what it runs."""
        ...

    def on_report(self, report: pb.LoadReport) -> None:
        """It said this, here and now."""
        ...

    def on_restart(self) -> None:
        """Another instance reports than before."""
        ...


class LoadWatch:
    """The load reports of one endpoint, from a stream of their own or from its link."""

    def __init__(
        self,
        hearer: Hearer,
        router: str,
        endpoint: str,
        channel: grpc.aio.Channel,
        silence_max_s: float,
    ) -> None:
        """`router` is the id of the one that listens, `endpoint` the name that it has for it."""
        self.first: pb.LoadReport | None = None  # of the instance that is there
        self.last: pb.LoadReport | None = None
        self.tokens_per_s = 0.0
        self._hearer = hearer
        self._router = router
        self.clock_ahead_ns: int | None = None  # of ours, the endpoint's, or less
        self._endpoint = endpoint
        self.request = pb.WatchLoadRequest(
            max_silence_ms=round(silence_max_s * 1_000), accounts=True
        )
        self.offers_link = asyncio.Event()  # as of the last report
        self._silence_max_s = silence_max_s
        self._stub = LoadStub(channel)
        self._brought = asyncio.Event()  # there was a report from elsewhere
        self._is_brought = False
        self._rate_from = (0, 0)  # tokens generated, when

    async def run(self, may_ask: asyncio.Event) -> None:
        """Listens whenever it may and no reports are brought, until cancelled."""
        backoff = Backoff(0.1, 5.0)
        while True:
            await may_ask.wait()
            await self._until_missed()
            wait_s = None
            try:
                await self._listen(backoff)
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.UNIMPLEMENTED:
                    wait_s = _UNIMPLEMENTED_RETRY_S
            except TimeoutError:
                pass
            await asyncio.sleep(backoff.wait_s() if wait_s is None else wait_s)

    def bring(self, report: pb.LoadReport) -> None:
        """A report that came over a link."""
        self._is_brought = True
        self._brought.set()
        self._hear(report)

    def share(self, report: pb.LoadReport) -> None:
        """A report that another process of this host heard: it says nothing of this connection."""
        if not self._is_brought:
            self._take(report)

    def end_bringing(self) -> None:
        """There is no link any more."""
        self._is_brought = False
        self._brought.set()

    async def _until_missed(self) -> None:
        """Waits until no reports are brought, or those that were have stopped coming."""
        while self._is_brought:
            self._brought.clear()
            try:
                async with asyncio.timeout(_SILENCES_MAX * self._silence_max_s):
                    await self._brought.wait()
            except TimeoutError:
                self._is_brought = False

    async def _listen(self, backoff: Backoff) -> None:
        call = self._stub.Watch(self.request)
        try:
            while True:
                async with asyncio.timeout(_SILENCES_MAX * self._silence_max_s):
                    report = await call.read()
                if report is grpc.aio.EOF or report is None:  # None: bytes that are no report
                    return
                backoff.reset()
                self._hear(report)
                if self._is_brought:
                    return
        finally:
            call.cancel()

    def _hear(self, report: pb.LoadReport) -> None:
        self._hearer.on_report(report)
        self._take(report)

    def _take(self, report: pb.LoadReport) -> None:
        if self.last is not None and self.last.instance_id != report.instance_id:
            self._hearer.on_restart()
        if report.link:
            self.offers_link.set()
        else:
            self.offers_link.clear()
        self._measure_rate(report)
        if self.last is None or self.last.instance_id != report.instance_id:
            self.first = report
        self.last = report
        if 0 < report.sampled_unix_ns < _UNIX_NS_MAX:
            self.clock_ahead_ns = report.sampled_unix_ns - now_ns()
        if report.HasField("identity"):
            self._hearer.learn(identity_of(report.identity))
        self._hearer.tell(LoadHeard(to_core(self._endpoint, report, self._router)))

    def _measure_rate(self, report: pb.LoadReport) -> None:
        now = now_ns()
        tokens, since = self._rate_from
        if report.generated_tokens < tokens or not since:  # an engine that started anew
            self._rate_from = (report.generated_tokens, now)
            self.tokens_per_s = 0.0
        elif now - since >= _RATE_WINDOW_NS:
            self.tokens_per_s = (report.generated_tokens - tokens) * NS_PER_S / (now - since)
            self._rate_from = (report.generated_tokens, now)


def to_core(endpoint: str, report: pb.LoadReport, router: str) -> LoadReport:
    """A report as the core of this router sees it."""
    return LoadReport(
        endpoint=endpoint,
        instance=report.instance_id,
        sequence=report.sequence,
        running=report.running_requests,
        waiting=report.waiting_requests,
        queued_prefill_tokens=report.queued_prefill_tokens,
        kv_usage=_between(report.kv_usage, 1.0),
        running_max=report.max_running_requests,
        ttft_ns=ns(_between(report.ttft_s, _LATENCY_MAX_S)),
        itl_ns=ns(_between(report.itl_s, _LATENCY_MAX_S)),
        itl_ns_p95=ns(_between(report.itl_s_p95, _LATENCY_MAX_S)),
        draining=report.draining,
        lent_share=_between(report.lent_share, 1.0),
        prefix_reset=report.prefix.reset,
        prefix_added=tuple(report.prefix.added),
        prefix_removed=tuple(report.prefix.removed),
        accounts=accounts_of(report, router) if report.accounts else (),
        gateway=_gateway(report.gateway, router) if report.HasField("gateway") else None,
        adapters=_adapters(report.adapters) if report.HasField("adapters") else None,
    )


def _adapters(said: pb.Adapters) -> AdapterLoad:
    return AdapterLoad(
        loaded=tuple(said.loaded[-_LOADED_MAX:]),
        loaded_max=said.loaded_max,
        running=tuple(sorted(said.running.items())[:_LOADED_MAX]),
        running_max=said.running_max,
        load_ns=ns(_between(said.load_s, _LATENCY_MAX_S)),
    )


def _gateway(said: pb.Gateway, router: str) -> Gateway:
    known: dict[int, int] = {}  # the time by the length: of two with one length the last one
    for one in said.forecasts[:FORECASTS_MAX]:
        known[one.uncached_tokens] = ns(_between(one.ttft_s, _LATENCY_MAX_S))
    return Gateway(
        circular=router in said.routers,
        endpoints_up=said.endpoints_up,
        endpoints=said.endpoints,
        forecasts=tuple(Forecast(*point) for point in sorted(known.items())),
    )


def identity_of(said: pb.Identity) -> EngineIdentity:
    """What an endpoint says that it runs, as the core has it."""
    return EngineIdentity(
        weights=said.weights_digest,
        tokenizer=said.tokenizer_digest,
        numerics=said.numerics_digest,
        restores=tuple(said.restores),
        adapters=tuple(sorted(said.adapters.items())[:ADAPTERS_MAX]),
    )


def _between(value: float, most: float) -> float:
    """What an endpoint says, from 0 to `most`; 0, for unknown, where it says no number."""
    return min(most, max(0.0, value)) if math.isfinite(value) else 0.0
