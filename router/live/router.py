"""A router process: everything live, put together, started, drained and stopped."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from typing import Any, Final
from uuid import uuid4

import aiohttp
import grpc
from prometheus_client import CollectorRegistry

from router.faces.kserve.service import KServe
from router.faces.page.desk import OwnDesk
from router.faces.page.server import FleetPage
from router.faces.page.workers import answering
from router.live import background
from router.live.accounts import Accounts
from router.live.acting import Acting, journal_of
from router.live.autoscaler import Autoscaler, autoscaler_of
from router.live.callers import Callers
from router.live.closing import Closing
from router.live.control import Control
from router.live.cookies import Cookies
from router.live.cost_service import CostService
from router.live.delivered import ResumeMemory
from router.live.endpoint import LiveEndpoint
from router.live.fleet_change import FleetChange
from router.live.fleet_desk import FleetDesk
from router.live.fleet_service import FleetService
from router.live.fleet_state import fleet_state
from router.live.gate import Gate
from router.live.health_server import HealthServer
from router.live.host_feed import HostFeed
from router.live.inference import Inference
from router.live.lease_desk import LeaseDesk
from router.live.lender import Lender
from router.live.load_service import LoadService
from router.live.loan_desk import LoanDesk
from router.live.loan_keeper import keep_loans
from router.live.metrics_server import MetricsServer
from router.live.mover import Mover
from router.live.openai_face import open_openai
from router.live.operator_desk import OperatorDesk
from router.live.others import Others
from router.live.placing import Placing
from router.live.reach import Reach, require_sites
from router.live.reloading import Reloads
from router.live.request_trace import RequestTraces
from router.live.returning import Returning
from router.live.roster import Roster
from router.live.scaling_crew import ScalingCrew
from router.live.server import open_server
from router.live.services import add_services
from router.live.settings import RouterSettings, SiteAccess, Worker
from router.live.sharing import begin_sharing
from router.live.site_leases import SiteLeases
from router.live.site_metrics import watch_site
from router.live.standing import AuditStanding, FileStanding
from router.live.tenant_streams import TenantStreams
from router.live.timed_core import TimedCore, now_ns
from router.live.tls import server_tls
from router.live.tokenizer_service import TokenizerService
from router.live.vigil import Vigil
from router.observe.decision_log import log_at
from router.observe.event import Ticked
from router.observe.sinks import Sinks
from router.policy.fleet import Fleet
from router.policy.units import ns, seconds
from wire.spillway.v1 import fleet_pb2
from wire.tracing.tracer import open_tracer

_TICK_S: Final = 1.0
_CUT_S: Final = 1.0  # what cut calls get to send their status
_WATCHES_END_S: Final = 0.1  # what Watch calls get to end by themselves

_log = logging.getLogger(__name__)


class Router:
    """Routes one fleet. `start` it inside a running event loop; it is used once.

    Raises ValueError for access to a site that the fleet does not have, AuthenticationError and
    KeyFileError where nobody can say who may come in, TlsError for certificates of no use.
    """

    port = 0
    health_port: int | None = None
    metrics_port: int | None = None
    openai_port: int | None = None
    _feed: HostFeed | None = None  # where this is one of several workers

    def __init__(
        self,
        fleet: Fleet,
        access: Sequence[SiteAccess],
        settings: RouterSettings,
        worker: Worker | None = None,
        reloads: Reloads | None = None,
        digest: str = "",
    ) -> None:
        """`worker` says which of several processes on one port this one is, where it is one.

        `reloads` reads the fleet file again, which has this digest.
        """
        require_sites(fleet, access)
        fleet = replace(fleet, shares=settings.store.url is not None)
        self.id = f"router-{uuid4().hex[:12]}"
        self._settings = settings
        log = settings.decision_log
        self._sinks = Sinks(fleet, log_at(log.path, log.bytes_max, log.files_max))
        self._desk = LeaseDesk(self.id, settings.lease_key_file)
        self._callers = Callers(settings, fleet.tenants)
        self._tls = server_tls(settings)
        self._reach = Reach(access, settings)
        self._roster = Roster(self._open_endpoint, rollouts=fleet.rollouts)
        if worker is not None:
            self._feed = HostFeed(worker.receiver, worker.number, self._roster, self._reach)
        self._accounts = Accounts(self.id, settings.ledger, self._sinks.registry)
        sinks = self._sinks.with_others(self._accounts.sink, self._feed)
        self._core = TimedCore(fleet, self.id, sinks)
        self._cookies = Cookies(
            self._core, settings.lease_key_file, fleet.limits.session_age_max_ns
        )
        streams = TenantStreams(self._callers.tenants)
        self._traces = RequestTraces(self.id, self._sinks.traces, prompts=settings.log.prompts)
        self._placing = self._made_placing(fleet, streams)
        self._acting = Acting(self.id, journal_of(settings.audit))
        self._crew = None if self._feed is None else ScalingCrew(self._feed, self._core)
        self._lender = self._made_lender(fleet)
        self._autoscaler = self._made_autoscaler(fleet)
        self._loans = LoanDesk(self._lender, lambda: self._core.snapshot().sites)
        self._site_leases = SiteLeases(self._core, fleet, settings.drain_timeout_s)
        self._standing = standing = FileStanding(digest, time.time_ns())
        self.acts = OperatorDesk(self._core, self._loans, self._acting, standing, reloads)
        self._inference = self._made_inference(streams)
        desk = OwnDesk(self._state, self._sinks.recent, self._fleet_desk(), self.acts)
        if self._feed is not None and self._crew is not None:
            others = (self._core, self._roster, self._lender, self._inference, self._crew)
            self._feed.listener = Others(*others, self._sinks.registry, answering(desk))
        self._page = FleetPage(self.id, fleet, desk, self._callers)
        turns, patience_s = self._inference.turns, settings.drain_timeout_s
        self._mover = Mover(self._core, self._roster, turns, patience_s)
        self._metrics_server = MetricsServer(
            *(self._registry, self._serves, self._callers, settings, self._tls),
            self._page.add_to,
        )
        self.fleet_change = FleetChange(
            *(self._core, self._callers, self._reach, self._roster, self._lender),
            *(self._site_leases, self._placing, standing, self._settle),
        )
        self._closing = Closing()
        self._closed = asyncio.Event()
        self._grace_s = 0.0
        self._opened = contextlib.AsyncExitStack()  # closed in the opposite order

    @property
    def open_calls(self) -> int:
        """Calls of vllm.Inference that have not ended."""
        return self._inference.open_calls

    async def start(self) -> None:
        """Listens, and begins to look for endpoints; the ports it got are set then.

        Raises OSError where a port is taken or the decision log or ledger cannot be
        written, TracingError where spans are asked for and cannot be made.
        """
        try:
            await self._start()
        except BaseException:
            await self.stop(0.0)
            raise

    async def reload_on_signal(self) -> str:
        """Goes by its fleet file as it is now, and says how that went."""
        return await self.acts.reload_on_signal()

    async def drain(self) -> None:
        """Takes no new requests, lets the open ones end for `drain_timeout_s`, then stops."""
        self._inference.draining = True
        try:
            async with asyncio.timeout(self._settings.drain_timeout_s):
                await self._inference.idle.wait()
        except TimeoutError:
            _log.warning("%d calls are cut off at the end of the drain", self._inference.open_calls)
            await self._inference.cut(_CUT_S)
        await self.stop(0.0)

    async def stop(self, grace_s: float = 0.0) -> None:
        """Takes no new requests, cuts off after `grace_s` what is still open, and closes all."""
        if self._closing.begun:
            await self._closed.wait()
            return
        self._inference.draining = True
        self._closing.begin()
        self._placing.cut()
        self._grace_s = max(grace_s, _WATCHES_END_S)
        try:
            await self._opened.aclose()
        finally:
            self._closed.set()

    async def wait_closed(self) -> None:
        """Until it has stopped."""
        await self._closed.wait()

    async def _start(self) -> None:
        settings, opened = self._settings, self._opened
        self._sinks.start(self._core.snapshot)
        opened.push_async_callback(asyncio.to_thread, self._sinks.close)
        tracer = open_tracer(settings.tracing, "spillway-router", self.id)
        opened.push_async_callback(asyncio.to_thread, tracer.close)
        self._traces.report_to(tracer)
        await opened.enter_async_context(self._accounts)
        self._core.start()
        self._accounts.look(self._core, ())
        for collector in (self._standing, AuditStanding(self._acting)):
            self._sinks.registry.register(collector)
        await self._acting.start({"fleet_file": self._standing.digest})
        opened.push_async_callback(self._acting.close)
        self._callers.look()
        opened.push_async_callback(self._callers.close)
        await self._start_watched(settings.metrics_listen, settings.health_listen)
        http = await opened.enter_async_context(aiohttp.ClientSession())
        await begin_sharing(self._core, settings.store, opened)
        opened.push_async_callback(self._roster.close)
        server, self.port = open_server(
            settings,
            shares_port=self._feed is not None,
            interceptors=(Gate(self._callers, self._acting),) if self._callers.required else (),
            tls=self._tls,
        )
        self._add_services(server)
        for site in self._reach.sites:
            self._watch_site(site)
        if self._feed is not None:
            self._run(self._feed.run(), "feed")
        else:
            opened.push_async_callback(self._reach.close)
            self._reach.follow(self._roster, http)
        if self._feed is None or self._feed.leads:
            keep = keep_loans(self._reach.ways, self._lender, self._loans, http, settings)
            self._run(keep, "loans")
        opened.push_async_callback(self._autoscaler.close)
        self._run(self._tick(), "tick")
        vigil = Vigil(self._core, self._roster, self._inference.turns)
        self._run(vigil.run(), "vigil")
        self._run(self._mover.run(), "mover")
        opened.push_async_callback(self._stop_server, server)
        await server.start()
        if settings.openai_listen is not None:
            self.openai_port = await open_openai(
                self._inference,
                self._callers,
                self._roster,
                settings,
                self._tls,
                opened,
                serves=self._serves,
                grace_s=lambda: self._grace_s,
                shares_port=self._feed is not None,
            )

    async def _start_watched(self, metrics: str | None, health: str | None) -> None:
        """What those ask who watch a router."""
        if metrics is not None:
            self._opened.push_async_callback(self._metrics_server.stop)
            self.metrics_port = await self._metrics_server.start(metrics)
        if health is not None:
            server = HealthServer(self._serves, self._settings.connections)
            self._opened.push_async_callback(server.stop)
            self.health_port = await server.start(health)

    def _fleet_desk(self) -> FleetDesk:
        deadline_s = self._settings.default_deadline_s
        return FleetDesk(self.id, self._core, self._callers, self._cookies, self._loans, deadline_s)

    def _made_inference(self, streams: TenantStreams) -> Inference:
        settings = self._settings
        return Inference(
            *(self._core, self._roster, self.id, self._callers, streams, self._cookies),
            Returning(self._desk, self._core, self._roster),
            *(settings.streams_max, settings.default_deadline_s),
            ResumeMemory(settings.resume_stream_bytes_max, settings.resume_bytes_max),
            settings.requests_bytes_max,
            settings.resume_wait_s,
            settings.coalesce_hold_s,
            *(self._sinks.metrics.on_call, self._traces),
        )

    def _made_placing(self, fleet: Fleet, streams: TenantStreams) -> Placing:
        settings = self._settings
        return Placing(
            *(self.id, self._core, self._callers, self._roster, self._desk, self._cookies),
            *(self._traces, self._is_draining, streams.counts),
            *(self._reach.off, self._reach.doors),
            default_deadline_s=settings.default_deadline_s,
            life_s=seconds(fleet.limits.lease_life_ns),
            requests_bytes_max=settings.requests_bytes_max,
        )

    def _settle(self, fleet: Fleet, settings: RouterSettings) -> None:
        """The fleet file is another one: what is left to do of that."""
        for site in fleet.sites:
            self._watch_site(site.name)
        self._settings = settings
        self._roster.names.adopt(fleet.rollouts)
        self._mover.patience_ns = ns(settings.drain_timeout_s)
        self._cookies.age_max_ns = fleet.limits.session_age_max_ns
        self._page.adopt(fleet)
        self._autoscaler.adopt(fleet)

    def _made_lender(self, fleet: Fleet) -> Lender:
        of = (self._core, self._roster, fleet.sites)
        return Lender(*of, happened=self._acting.happened, crew=self._crew)

    def _made_autoscaler(self, fleet: Fleet) -> Autoscaler:
        of = (self._core, fleet, self._sinks.metrics, self._lender.away)
        return autoscaler_of(*of, self._settings, self._crew)

    def _watch_site(self, site: str) -> None:
        asked = self._reach if self._feed is None else None
        watch_site(self._sinks.metrics, site, self._roster, self._lender, asked)

    async def _stop_server(self, server: grpc.aio.Server) -> None:
        await server.stop(self._grace_s)

    def _add_services(self, server: grpc.aio.Server) -> None:
        core, callers, roster, closing = self._core, self._callers, self._roster, self._closing
        desk, draining = self._fleet_desk(), self._is_draining
        watches = self._settings.connections.watches_max
        add_services(
            server,
            self._inference,
            Control(self.id, callers, roster, self._inference, self._feed),
            FleetService(
                core, callers, desk, self.acts, self._placing, self._state, closing, watches
            ),
            CostService(self._accounts, callers),
            LoadService(core, roster, draining, closing),
            TokenizerService(self.id, callers, roster),
            KServe(self._inference, callers, roster, self._serves, self._settings),
            (callers, roster, self._settings.default_deadline_s),
            serves=self._serves,
            is_draining=draining,
            closing=closing,
            watches_max=watches,
        )

    def _open_endpoint(self, site: str, address: str) -> LiveEndpoint:
        fed = self._feed is not None
        return self._reach.open(self._core, self._desk, site, address, fed=fed)

    def _state(self) -> fleet_pb2.FleetState:
        now = now_ns()
        state = fleet_state(
            self.id,
            self._core.snapshot(),
            self._roster,
            lambda site: self._sinks.latency.percentiles(site, now),
            self._loans.lent,
        )
        self._standing.tell(state)
        self.acts.rollouts.tell(state)
        self._autoscaler.tell(state)
        head = self._acting.head
        state.audit_head = head.digest if head is not None else ""
        state.audit_problem = self._acting.problem
        return state

    async def _registry(self) -> CollectorRegistry:
        return self._sinks.registry

    def _serves(self) -> bool:
        return self._roster.serves and not self._is_draining()

    def _is_draining(self) -> bool:
        return self._inference.draining

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            self._core.tell(Ticked())
            self._callers.look()
            self._roster.renew()
            self._lender.look()
            self.acts.rollouts.look()
            self._autoscaler.look()
            self._site_leases.look()
            self._accounts.look(self._core, self._roster)
            self._acting.look()

    def _run(self, work: Coroutine[Any, Any, None], name: str) -> None:
        self._opened.push_async_callback(background.end, background.begin(work, name))
