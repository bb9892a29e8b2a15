"""The one process of a host that asks endpoints how they are, for all the workers of its router.

It discovers, identifies, probes and hears load reports as a router does that is alone, decides
nothing, and passes on what it hears as it came.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Final

import aiohttp
import grpc

from router.faces.page.server import FleetPage
from router.faces.page.workers import WorkersDesk
from router.live import background
from router.live.callers import Callers
from router.live.endpoint import LiveEndpoint
from router.live.fleet_change import Ready, prepared
from router.live.health_server import HealthServer
from router.live.host_hub import Hub
from router.live.lease_desk import LeaseDesk
from router.live.metrics_server import MetricsServer
from router.live.probe import Answer
from router.live.reach import Reach
from router.live.reloading import Reading
from router.live.roster import Roster
from router.live.settings import RouterSettings, SiteAccess
from router.live.tls import server_tls
from router.observe.event import Happening
from router.observe.merged import Merged
from router.policy.fleet import Fleet
from wire.spillway.v1 import host_pb2 as pb
from wire.spillway.v1.load_pb2 import LoadReport

_RENEW_S: Final = 1.0


class _Nobody:
    """The core of a process that decides nothing."""

    router = "receiver"

    def tell(self, happening: Happening) -> None:
        """Nobody is told."""


class _Known:
    """What is known of one endpoint, for a worker that joins."""

    def __init__(self) -> None:
        self.report: LoadReport | None = None
        self.prefix: set[int] = set()

    def add(self, report: LoadReport) -> None:
        if report.prefix.reset:
            self.prefix.clear()
        self.prefix.update(report.prefix.added)
        self.prefix.difference_update(report.prefix.removed)
        before, self.report = self.report, report
        if before is None or before.instance_id != report.instance_id:
            return
        if not report.HasField("identity") and before.HasField("identity"):
            self.report = LoadReport()
            self.report.CopyFrom(report)
            self.report.identity.CopyFrom(before.identity)

    def whole_report(self) -> LoadReport | None:
        if self.report is None:
            return None
        whole = LoadReport()
        whole.CopyFrom(self.report)
        whole.ClearField("prefix")
        whole.prefix.reset = True
        whole.prefix.added.extend(self.prefix)
        return whole


class Receiver:
    """Follows the endpoints of all sites, and tells the workers at `address`."""

    def __init__(
        self,
        access: Sequence[SiteAccess],
        settings: RouterSettings,
        address: str,
        fleet: Fleet | None = None,
    ) -> None:
        """`address` is what gRPC listens on for the workers: a Unix socket.

        Without `fleet` it shows no page. Raises TlsError, and as Callers does.
        """
        self._callers = Callers(settings, fleet.tenants if fleet is not None else ())
        self._settings = settings
        self._address = address
        self._listings: dict[str, tuple[str, ...]] = {}
        self._known: dict[str, _Known] = {}
        self._drains: dict[str, bool] = {}
        self._loans: dict[str, pb.SiteLoans] = {}
        self._versions = fleet.rollouts if fleet is not None else ()
        self._rollouts: dict[str, pb.RolloutWord] = {}  # the latest of each
        self._desk = LeaseDesk(_Nobody.router, settings.lease_key_file)
        self._tls = server_tls(settings)
        self._reach = Reach(access, settings)
        self._roster = Roster(self._open_endpoint, self._on_listed)
        self._hub = Hub(self._state, self._on_said)
        self._page: FleetPage | None = None
        if fleet is not None:
            desk = WorkersDesk(self._hub.ask)
            self._page = FleetPage("router of several workers", fleet, desk, self._callers)
        self.metrics_port: int | None = None
        self.health_port: int | None = None
        self._opened = contextlib.AsyncExitStack()

    async def start(self) -> None:
        """Begins. Raises OSError where an address is taken."""
        settings, opened = self._settings, self._opened
        self._callers.look()
        opened.push_async_callback(self._callers.close)
        if settings.metrics_listen is not None:
            metrics = MetricsServer(
                *(self._metrics, lambda: self._roster.serves, self._callers, settings, self._tls),
                self._page.add_to if self._page is not None else None,
            )
            opened.push_async_callback(metrics.stop)
            self.metrics_port = await metrics.start(settings.metrics_listen)
        if settings.health_listen is not None:
            health = HealthServer(lambda: self._roster.serves, settings.connections)
            opened.push_async_callback(health.stop)
            self.health_port = await health.start(settings.health_listen)
        http = await opened.enter_async_context(aiohttp.ClientSession())
        opened.push_async_callback(self._roster.close)
        opened.push_async_callback(self._reach.close)
        self._reach.follow(self._roster, http)
        self._run(self._renew(), "renew")
        server = grpc.aio.server(options=(("grpc.max_receive_message_length", -1),))
        server.add_generic_rpc_handlers((self._hub.handlers(),))
        try:
            server.add_insecure_port(self._address)
        except RuntimeError as error:
            raise OSError(f"cannot listen on {self._address}: {error}") from error
        opened.push_async_callback(server.stop, 0)
        await server.start()

    async def stop(self) -> None:
        """Ends it."""
        await self._opened.aclose()

    def prepare(self, reading: Reading) -> Ready:
        """See FleetChange. Raises ReloadError."""
        return prepared(reading, self._reach, self._callers)

    def apply(self, ready: Ready) -> None:
        """Lists the endpoints of these sites, and no others, to all workers."""
        reading = ready.reading
        for one in set(self._versions).difference(reading.fleet.rollouts):
            self._rollouts.pop(one.name, None)  # the file says something else of it
        self._versions = reading.fleet.rollouts
        self._callers.adopt(reading.settings, ready.keys, reading.fleet.tenants)
        self._reach.adopt(ready.ways, self._roster)
        if self._page is not None:
            self._page.adopt(reading.fleet)
        for known in (self._listings, self._drains, self._loans):
            for site in [name for name in known if name not in self._reach]:
                del known[site]

    def on_answer(self, endpoint: str, answer: Answer) -> None:
        """See Witness."""
        told = pb.Answer(endpoint=endpoint, rtt_ns=answer.rtt_ns, serving=answer.serving)
        self._hub.publish(pb.Heard(answers=[told]))

    def on_report(self, endpoint: str, report: LoadReport) -> None:
        """See Witness."""
        self._of(endpoint).add(report)
        self._hub.publish(pb.Heard(reports=[pb.Report(endpoint=endpoint, report=report)]))

    def _of(self, endpoint: str) -> _Known:
        return self._known.setdefault(endpoint, _Known())

    def _on_listed(self, site: str, addresses: tuple[str, ...]) -> None:
        if self._listings.get(site) == addresses:
            return
        self._listings[site] = addresses
        names = {f"{site}/{address}" for site, of_it in self._listings.items() for address in of_it}
        self._known = {name: known for name, known in self._known.items() if name in names}
        self._hub.publish(pb.Heard(listings=[pb.Listing(site=site, addresses=addresses)]))

    def _on_said(self, said: pb.Said) -> None:
        if said.HasField("drain"):
            self._drains[said.drain.site] = said.drain.draining
        unheard = [site for site in said.draining if site not in self._drains]
        if unheard:  # this process was started after the operator's word
            self._drains.update(dict.fromkeys(unheard, True))
            drains = [pb.SiteDrain(site=site, draining=True) for site in unheard]
            self._hub.publish(pb.Heard(drains=drains))
        if said.HasField("rollout"):
            self._rollouts[said.rollout.name] = said.rollout
        words = [one for one in said.returned if one.name not in self._rollouts]
        if words:
            self._rollouts.update({one.name: one for one in words})
            self._hub.publish(pb.Heard(rollouts=words))
        if said.HasField("loans"):
            self._loans[said.loans.site] = said.loans
        later = [one for one in said.lending if self._is_later(one)]
        if later:
            self._loans.update({one.site: one for one in later})
            self._hub.publish(pb.Heard(loans=later))

    def _is_later(self, loans: pb.SiteLoans) -> bool:
        known = self._loans.get(loans.site)
        return known is None or known.said_unix_ns < loans.said_unix_ns

    def _state(self) -> pb.Heard:
        heard = pb.Heard(
            listings=[
                pb.Listing(site=site, addresses=addresses)
                for site, addresses in self._listings.items()
            ],
            drains=[
                pb.SiteDrain(site=site, draining=draining)
                for site, draining in self._drains.items()
            ],
            loans=self._loans.values(),
            rollouts=self._rollouts.values(),
        )
        for name, known in self._known.items():
            report = known.whole_report()
            if report is not None:
                heard.reports.append(pb.Report(endpoint=name, report=report))
        return heard

    def _open_endpoint(self, site: str, address: str) -> LiveEndpoint:
        return self._reach.open(_Nobody(), self._desk, site, address, witness=self)

    async def _metrics(self) -> Merged:
        return Merged([*await self._hub.metrics()], self._reach.failing())

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(_RENEW_S)
            self._roster.renew()
            self._callers.look()

    def _run(self, work: background.Work, name: str) -> None:
        self._opened.push_async_callback(background.end, background.begin(work, name))
