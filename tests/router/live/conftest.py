"""A router in this process, over servers of vllm.Inference in this process."""

import asyncio
import contextlib
from dataclasses import dataclass

import grpc
import pytest

from router.live.router import Router
from router.live.settings import RouterSettings, SiteAccess
from router.policy.fleet import Fleet, Limits, Price, Site, SiteKind, SloClass
from router.policy.units import NS_PER_S
from serving.fake_engine import FakeEngine, FakeSettings
from serving.listening import Listening
from serving.standalone import serve_standalone
from tests.router.live.scripted import Scripted
from tests.router.live.transport import TRANSPORT
from tests.waiting import DEADLINE_S, until
from wire.spillway.v1 import fleet_pb2, fleet_pb2_grpc, load_pb2_grpc
from wire.vllm import control_pb2_grpc, inference_pb2, inference_pb2_grpc

SETTINGS = RouterSettings(
    listen="127.0.0.1:0",
    metrics_listen=None,
    discovery_interval_s=0.1,
    rtt_interval_s=1.0,  # a probe has so long to be answered, on a busy machine, too
    load_silence_max_s=0.2,
    drain_timeout_s=5.0,
    resume_wait_s=0.3,
    coalesce_hold_s=None,  # so that messages can be counted, however busy the machine is
)

REPORTING = set()
"""The addresses whose endpoints say by themselves who they are and how they fare."""

HOME = Site("home", SiteKind.HOME)
CLOUD = Site("cloud", SiteKind.RENTED, price=Price(metered_usd_per_replica_hour=3.0))


def fleet_of(*sites, **limits):
    """A fleet of these sites with one service class of generous objectives."""
    slo = SloClass("chat", ttft_ns=10 * NS_PER_S, itl_ns=NS_PER_S)
    batch = SloClass("batch", ttft_ns=100 * NS_PER_S, itl_ns=NS_PER_S)
    return Fleet(sites, (slo, batch), "chat", Limits(**limits))


@dataclass
class Routed:
    """A router under test and stubs to call it with."""

    router: Router
    channel: grpc.aio.Channel

    def __post_init__(self):
        self.inference = inference_pb2_grpc.InferenceStub(self.channel)
        self.control = control_pb2_grpc.ControlStub(self.channel)
        self.fleet = fleet_pb2_grpc.FleetStub(self.channel)
        self.load = load_pb2_grpc.LoadStub(self.channel)

    async def stream(self, request, **kwargs):
        """All messages of a stream."""
        return [chunk async for chunk in self.inference.GenerateStream(request, **kwargs)]

    async def state(self):
        """The fleet's state now."""
        call = self.fleet.Watch(fleet_pb2.WatchFleetRequest())
        try:
            return await call.read()
        finally:
            call.cancel()

    async def endpoints(self):
        """The state of every endpoint by its address."""
        state = await self.state()
        return {e.address: e for site in state.sites for e in site.endpoints}

    async def state_where(self, condition, within_s=DEADLINE_S):
        """The first state for which condition holds."""
        call = self.fleet.Watch(fleet_pb2.WatchFleetRequest(interval_ms=100))
        try:
            async with asyncio.timeout(within_s):
                while not condition(state := await call.read()):
                    pass
            return state
        finally:
            call.cancel()

    async def until_up(self, count, within_s=DEADLINE_S):
        """Waits until so many endpoints take requests."""
        return await self.state_where(lambda state: len(up(state)) == count, within_s)


@contextlib.contextmanager
def reports_come_from(at):
    """An endpoint with load reports is at this address; whoever routes to it waits for one."""
    REPORTING.add(at)
    try:
        yield
    finally:
        REPORTING.discard(at)


def up(state):
    """The endpoints of a state that take requests."""
    endpoints = [e for site in state.sites for e in site.endpoints]
    return [e for e in endpoints if e.health != fleet_pb2.EndpointState.DOWN]


def left_of(routed, *servers):
    """What is left of requests at a router and at engines, by its name."""
    router = routed.router
    inference, snapshot, endpoints = router._inference, router._core.snapshot(), [*router._roster]
    open_at = [s.open if isinstance(s, Scripted) else s.replica.in_flight for s in servers]
    left = {
        "turns": len(inference.turns),
        "ids": len(inference._by_client_id),
        "bytes of requests": inference._requests_bytes,
        "bytes kept to resume": inference._memory.used,
        "attempts": len(router._sinks.attempts),
        "traces": len(router._sinks.traces),
        "open streams": snapshot.open_streams,
        "leases": snapshot.leases.open,
        "in flight": sum(at.in_flight for site in snapshot.sites for at in site.endpoints),
        "calls": sum(endpoint.calls.count for endpoint in endpoints),
        "sessions of links": sum(endpoint.link.sessions or 0 for endpoint in endpoints),
        "abandoned": sum(len(endpoint.abandoned) for endpoint in endpoints),
        "in flight at engines": sum(open_at),
    }
    return {name: count for name, count in left.items() if count}


async def at_rest(routed, *servers):
    """Waits until nothing of any request is left at the router, nor at these engines."""
    try:
        await until(lambda: not left_of(routed, *servers))
    except TimeoutError:
        pytest.fail(f"left of requests: {left_of(routed, *servers)}")


def ends(routed, site="home"):
    """How the attempts at a site have ended, and how many in each way."""
    (metric,) = (
        m for m in routed.router._sinks.registry.collect() if m.name == "spillway_attempts"
    )
    return {
        sample.labels["end"]: int(sample.value)
        for sample in metric.samples
        if sample.name.endswith("_total") and sample.labels["site"] == site and sample.value
    }


@contextlib.asynccontextmanager
async def route(addresses, settings=SETTINGS, fleet=None, wait_for=None, interceptors=()):
    """A router over hand-listed addresses by site, once they are up and known to it."""
    access = [
        way
        if isinstance(way, SiteAccess)
        else SiteAccess(site, endpoints=tuple(way), link=TRANSPORT.links)
        for site, way in addresses.items()
    ]
    router = Router(fleet or fleet_of(HOME, CLOUD), access, settings)
    await router.start()
    here = f"127.0.0.1:{router.port}"
    async with grpc.aio.insecure_channel(here, interceptors=interceptors) as channel:
        routed = Routed(router, channel)
        try:
            expected = sum(len(way.endpoints) for way in access) if wait_for is None else wait_for
            await routed.until_up(expected)
            followers = [
                one.follower
                for one in router._roster
                if one.address in REPORTING and one.follower.connected
            ]
            await until(lambda: all(one.load.last is not None for one in followers))
            await TRANSPORT.until_it_stands(router)
            with reports_come_from(f"127.0.0.1:{router.port}"):
                yield routed
        finally:
            await router.stop(0.0)


@contextlib.asynccontextmanager
async def engine(port=0, **settings):
    """A fake engine behind its own server."""
    names = settings.pop("served_names", ("fake",))
    requests_max = settings.pop("requests_max", 64)
    server = await serve_standalone(
        FakeEngine(FakeSettings(**settings), names),
        listening=Listening(port=port),
        requests_max=requests_max,
    )
    try:
        with reports_come_from(address(server)):
            yield server
    finally:
        await server.stop()


def pace(*servers, itl_s):
    """Sets the time between two tokens of whatever these engines begin from now on."""
    for fake in (server.replica.engine for server in servers):
        fake._settings = fake._settings.model_copy(update={"itl_s": itl_s})


def address(server):
    """host:port of a server."""
    return f"127.0.0.1:{server.port}"


def ask(text="7", max_new_tokens=5, **fields):
    """A request for what follows text."""
    stopping = inference_pb2.StoppingCriteria(max_new_tokens=max_new_tokens)
    return inference_pb2.GenerateRequest(text=text, stopping=stopping, **fields)


def be_patient(monkeypatch):
    """Routers give up no stream for its silence, however long a busy machine makes it."""
    monkeypatch.setattr("router.policy.stall._FLOOR_NS", 20 * NS_PER_S)


@pytest.fixture(autouse=True)
def patient(request, monkeypatch):
    """Only tests of what silences do ask for `vigilant` routers."""
    if "vigilant" not in request.fixturenames:
        be_patient(monkeypatch)


@pytest.fixture
def vigilant():
    """Silent streams are given up as soon as ever."""


@pytest.fixture(params=["calls", "link"])
def transport(request, monkeypatch):
    """Runs a test twice: each stream a call of its own, and all of them sessions of links."""
    monkeypatch.setattr(TRANSPORT, "name", request.param)
    return request.param


@pytest.fixture
async def one():
    """A router over one engine that answers without pause."""
    async with engine(itl_s=0) as server, route({"home": [address(server)]}) as routed:
        yield routed
