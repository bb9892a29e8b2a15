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
from serving.standalone import serve_standalone
from tests.router.live.transport import TRANSPORT
from wire.spillway.v1 import fleet_pb2, fleet_pb2_grpc, load_pb2_grpc
from wire.vllm import control_pb2_grpc, inference_pb2, inference_pb2_grpc

SETTINGS = RouterSettings(
    listen="127.0.0.1:0",
    metrics_listen=None,
    discovery_interval_s=0.1,
    rtt_interval_s=0.2,
    load_silence_max_s=0.2,
    drain_timeout_s=5.0,
    resume_wait_s=0.3,
    coalesce_hold_s=None,  # so that messages can be counted, however busy the machine is
)

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

    async def state_where(self, condition, within_s=5.0):
        """The first state for which condition holds."""
        call = self.fleet.Watch(fleet_pb2.WatchFleetRequest(interval_ms=100))
        try:
            async with asyncio.timeout(within_s):
                while not condition(state := await call.read()):
                    pass
            return state
        finally:
            call.cancel()

    async def until_up(self, count, within_s=5.0):
        """Waits until so many endpoints take requests."""
        return await self.state_where(lambda state: len(up(state)) == count, within_s)


def up(state):
    """The endpoints of a state that take requests."""
    endpoints = [e for site in state.sites for e in site.endpoints]
    return [e for e in endpoints if e.health != fleet_pb2.EndpointState.DOWN]


@contextlib.asynccontextmanager
async def route(addresses, settings=SETTINGS, fleet=None, wait_for=None):
    """A router over hand-listed addresses by site, once they are up."""
    access = [
        way
        if isinstance(way, SiteAccess)
        else SiteAccess(site, endpoints=tuple(way), link=TRANSPORT.links)
        for site, way in addresses.items()
    ]
    router = Router(fleet or fleet_of(HOME, CLOUD), access, settings)
    await router.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{router.port}") as channel:
        routed = Routed(router, channel)
        try:
            expected = sum(len(way.endpoints) for way in access) if wait_for is None else wait_for
            await routed.until_up(expected)
            await TRANSPORT.until_it_stands(router)
            yield routed
        finally:
            await router.stop(0.0)


@contextlib.asynccontextmanager
async def engine(port=0, **settings):
    """A fake engine behind its own server."""
    names = settings.pop("served_names", ("fake",))
    requests_max = settings.pop("requests_max", 64)
    server = await serve_standalone(
        FakeEngine(FakeSettings(**settings), names), port=port, requests_max=requests_max
    )
    try:
        yield server
    finally:
        await server.stop()


def address(server):
    """host:port of a server."""
    return f"127.0.0.1:{server.port}"


def ask(text="7", max_new_tokens=5, **fields):
    """A request for what follows text."""
    stopping = inference_pb2.StoppingCriteria(max_new_tokens=max_new_tokens)
    return inference_pb2.GenerateRequest(text=text, stopping=stopping, **fields)


async def until(condition, within_s=5.0):
    """Waits for a condition without an event of its own."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.005)


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
