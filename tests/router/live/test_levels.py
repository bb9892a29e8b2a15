"""Routers in front of routers: what is told upward, kept below, or goes in a circle."""

import asyncio
import contextlib
from dataclasses import replace

import grpc
import pytest

from router.live.hops import HOPS_MAX
from router.live.site_report import _routers
from tests.router.live.conftest import SETTINGS, address, ask, engine, pace, route
from tests.router.live.counting import counted_on, counts
from tests.router.live.scripted import scripted
from tests.waiting import DEADLINE_S, until
from wire.spillway.v1 import fleet_pb2, load_pb2
from wire.vllm.inference_pb2 import GenerateResponse, SequenceOutput

pytestmark = pytest.mark.usefixtures("transport")


def at(routed):
    """Where a router listens."""
    return f"127.0.0.1:{routed.router.port}"


async def ended(call):
    """What a stream says from now on, and its trailers."""
    text = ""
    while (message := await call.read()) is not grpc.aio.EOF:
        text += message.outputs.text
    return text, dict(await call.trailing_metadata())


def reported(above, below):
    """What a router last heard from one below it."""
    endpoint = next(e for e in above.router._roster if e.address == at(below))
    return endpoint.follower.load.last or load_pb2.LoadReport()


async def explained(routed, **fields):
    request = fleet_pb2.ExplainRequest(request=ask(**fields))
    return await routed.fleet.Explain(request)


async def test_trailers_are_right_over_two_levels():
    """The client sees one router; the path says what is behind it."""
    async with (
        engine(itl_s=0) as server,
        route({"home": [address(server)]}) as below,
        route({"cloud": [at(below)]}) as above,
    ):
        text, trailers = await ended(above.inference.GenerateStream(ask("7", 3)))
        assert text == counted_on("7", 3)
        assert trailers["x-spillway-site"] == "cloud"
        assert trailers["x-spillway-endpoint"] == f"cloud/{at(below)}"
        assert trailers["x-spillway-path"] == f"cloud/{at(below)} > home/{address(server)}"
        assert trailers["x-spillway-attempts"] == "1"
        assert trailers["x-spillway-request-id"].startswith(above.router.id)
        assert "x-spillway-resumed" not in trailers


async def test_a_stream_goes_on_at_the_lowest_level_that_can_do_it():
    """An engine dies under a stream: the router before it goes on, the one above hears nothing."""
    async with (
        engine(itl_s=0.02) as spare,
        engine(itl_s=0.02) as one,
        engine(itl_s=0.02) as two,
        route({"home": [address(spare)]}) as elsewhere,
        route({"home": [address(one), address(two)]}) as below,
        route({"home": [at(below)], "cloud": [at(elsewhere)]}) as above,
    ):
        call = above.inference.GenerateStream(ask("7", 200))
        first = await call.read()
        busy = (await below.endpoints()).values()
        struck = next(endpoint.address for endpoint in busy if endpoint.in_flight)
        servers = {address(server): server for server in (one, two)}
        doomed = servers.pop(struck)
        pace(*servers.values(), itl_s=0)
        await doomed.stop()
        text, trailers = await ended(call)
        assert first.outputs.text + text == counted_on("7", 200)
        assert trailers["x-spillway-site"] == "home"
        assert trailers["x-spillway-resumed"] == "1"
        assert trailers["x-spillway-attempts"] == "2"
        state = await above.state()
        assert state.resumed == 0
        assert [site.failures for site in state.sites] == [0, 0]


async def test_what_cannot_go_on_below_goes_on_from_above():
    """The lower router has nowhere to go: it says so at once, and the upper one has."""
    slow = replace(SETTINGS, resume_wait_s=3 * DEADLINE_S)
    async with (
        engine(itl_s=0) as spare,
        engine(itl_s=0.02) as one,
        route({"home": [address(spare)]}) as elsewhere,
        route({"home": [address(one)]}, slow) as below,
        route({"home": [at(below)], "cloud": [at(elsewhere)]}) as above,
    ):
        call = above.inference.GenerateStream(ask("7", 200))
        first = await call.read()
        await one.stop()
        async with asyncio.timeout(DEADLINE_S):
            text, trailers = await ended(call)
        assert first.outputs.text + text == counted_on("7", 200)
        assert trailers["x-spillway-site"] == "cloud"
        assert trailers["x-spillway-resumed"] == "1"


async def test_a_router_is_killed_and_its_streams_go_on_elsewhere():
    """The streams of a lower router that is gone are the upper one's to go on with."""
    async with (
        engine(itl_s=0.02) as one,
        engine(itl_s=0.02) as two,
        route({"home": [address(one)]}) as left,
        route({"home": [address(two)]}) as right,
        route({"home": [at(left), at(right)]}) as above,
    ):
        calls = [above.inference.GenerateStream(ask("7", 60)) for _ in range(6)]
        firsts = [(await call.read()).outputs.text for call in calls]
        await left.router.stop(0.0)
        rests = [(await ended(call))[0] for call in calls]
        texts = {first + rest for first, rest in zip(firsts, rests, strict=True)}
        assert texts == {counted_on("7", 60)}


async def test_reports_add_up():
    """Capacity, forecasts, the common identity and the routers behind, over two levels."""
    async with (
        engine(itl_s=0) as one,
        engine(itl_s=0) as two,
        route({"home": [address(one), address(two)]}) as below,
        route({"cloud": [at(below)]}) as middle,
        route({"cloud": [at(middle)]}) as above,
    ):
        await until(lambda: len(reported(above, middle).gateway.routers) == 2)
        await until(lambda: reported(above, middle).max_running_requests == 2 * 256)
        report = reported(above, middle)
        assert report.gateway.routers == {middle.router.id: 0, below.router.id: 1}
        assert (report.gateway.endpoints_up, report.gateway.endpoints) == (1, 1)
        lengths = [one.uncached_tokens for one in report.gateway.forecasts]
        assert lengths == sorted(set(lengths))
        assert len(lengths) > 2
        assert all(one.ttft_s > 0 for one in report.gateway.forecasts)
        endpoint = next(iter(above.router._roster))
        await until(lambda: endpoint.follower.engine.weights == "fake-count")


async def test_breakers_and_drains_propagate():
    """A router whose endpoints are all down is, and one whose endpoints all drain drains."""
    async with (
        engine(itl_s=0) as server,
        engine(itl_s=0) as other,
        route({"home": [address(server)]}) as below,
        route({"home": [at(below)], "cloud": [address(other)]}) as above,
    ):
        await below.fleet.Drain(fleet_pb2.DrainRequest(site="home"))
        await above.state_where(lambda state: state.sites[0].endpoints[0].draining)
        decision = await explained(above)
        assert decision.site == "cloud"
        assert "draining" in {one.excluded for one in decision.candidates}
        await below.fleet.Undrain(fleet_pb2.UndrainRequest(site="home"))
        await above.state_where(lambda state: not state.sites[0].endpoints[0].draining)
        assert (await explained(above)).site == "home"
        await server.stop()
        down = fleet_pb2.EndpointState.DOWN
        await above.state_where(lambda state: state.sites[0].endpoints[0].health == down)
        assert (await explained(above)).site == "cloud"


@contextlib.asynccontextmanager
async def ring(count, server):
    """So many routers in a circle, the first of which has an endpoint beside it."""
    routers = []
    async with contextlib.AsyncExitStack() as opened:
        for number in range(count):
            first = {"home": [address(server)], "cloud": []}  # the last router, once there is one
            ways = {"home": [at(routers[-1])]} if number else first
            routers.append(await opened.enter_async_context(route(ways)))
        routers[0].router._roster.set_site("cloud", [at(routers[-1])])
        yield routers


@pytest.mark.parametrize("count", [2, 3])
async def test_a_ring_of_routers_is_seen_before_anything_goes_round(count):
    """Each that is part of it names the endpoint that leads back, and uses its others."""
    async with engine(itl_s=0) as server, ring(count, server) as routers:
        first = routers[0]

        def is_named(state):
            return any("leads back" in e.trouble for s in state.sites for e in s.endpoints)

        for one in routers:
            await one.state_where(is_named)
        decision = await explained(first)
        assert decision.site == "home"
        for _ in range(4):
            text, trailers = await ended(first.inference.GenerateStream(ask("7", 3)))
            assert (text, trailers["x-spillway-site"]) == (counted_on("7", 3), "home")
        # Whoever is in the ring and has nothing else says why it cannot serve.
        call = routers[1].inference.GenerateStream(ask("7", 3))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await ended(call)
        assert "leads back to this one" in caught.value.details()


async def test_a_ring_that_nobody_reports_is_refused_by_the_request_itself():
    """The list of the routers that it has passed names the circle."""
    async with (
        engine(itl_s=0) as server,
        route({"home": [address(server)]}) as first,
        route({"home": [at(first)]}) as second,
    ):
        hops = f"{second.router.id},{first.router.id}"
        call = second.inference.GenerateStream(ask("7", 3), metadata=(("x-spillway-hops", hops),))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await ended(call)
        assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        way = f"{second.router.id} > {first.router.id} > {second.router.id}"
        assert way in caught.value.details()


async def test_what_a_ring_still_says_of_a_router_that_left_is_forgotten():
    """It grows more distant with each round, and is not told beyond what a request could pass."""

    class Told:
        def __init__(self, routers):
            self.follower = self
            self.connected = True
            self.load = self
            self.last = load_pb2.LoadReport(gateway=load_pb2.Gateway(routers=routers))

    told = {"gone": 0}
    for _ in range(HOPS_MAX):
        told = _routers("b", [Told(_routers("a", [Told(told)]))])
    assert "gone" not in told


async def test_attempts_shrink_on_the_way_down():
    """Two levels of routers make no more attempts than one would; the last is another site's."""

    async def fails(_raw, context):
        await context.abort(grpc.StatusCode.INTERNAL, "no")

    async with contextlib.AsyncExitStack() as opened:
        enter = opened.enter_async_context
        near = [await enter(scripted(fails)) for _ in range(3)]
        far = [await enter(scripted(fails)) for _ in range(3)]
        one = await enter(route({"home": [server.address for server in near]}))
        two = await enter(route({"home": [server.address for server in far]}))
        above = await enter(route({"home": [at(one)], "cloud": [at(two)]}))
        call = above.inference.GenerateStream(ask("7", 3), timeout=600)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await ended(call)
        calls = [[call for server in site for call in server.calls] for site in (near, far)]
        assert [len(site) for site in calls] == [2, 1]
        assert dict(caught.value.trailing_metadata())["x-spillway-attempts"] == "3"
        assert all(call.remaining_s < 595 for site in calls for call in site)


@pytest.mark.usefixtures("vigilant")
async def test_a_silence_below_is_the_lower_routers_to_notice():
    """One of its engines hangs in the middle of an answer; the upper router waits, and may."""
    hung = asyncio.Event()

    async def hangs(raw, context):
        if hung.is_set():
            return await counts()(raw, context)
        hung.set()
        for token in counted_on("7", 4):
            outputs = SequenceOutput(text=token, num_tokens=1, token_ids=[ord(token)])
            await context.write(GenerateResponse(outputs=outputs).SerializeToString())
            await asyncio.sleep(0.02)
        return await asyncio.Event().wait()

    async with (
        scripted(hangs) as one,
        scripted(hangs) as two,
        route({"home": [one.address, two.address]}) as below,
        route({"home": [at(below)]}) as above,
    ):
        calls = [above.inference.GenerateStream(ask("7", 20)) for _ in range(4)]
        async with asyncio.timeout(DEADLINE_S):
            texts = [(await ended(call))[0] for call in calls]
        assert set(texts) == {counted_on("7", 20)}
        assert (await below.state()).resumed > 0
        state = await above.state()
        assert (state.resumed, state.sites[0].failures) == (0, 0)


async def test_a_router_below_that_is_replaced_loses_nothing():
    """It drains: new turns stay away at once, and what it has to cut goes on elsewhere."""
    async with (
        engine(itl_s=0.02) as one,
        engine(itl_s=0) as two,
        route({"home": [address(one)]}, replace(SETTINGS, drain_timeout_s=0.3)) as leaves,
        route({"home": [address(two)]}) as stays,
        route({"home": [at(leaves), at(stays)]}) as above,
    ):
        calls = [above.inference.GenerateStream(ask("7", 60)) for _ in range(6)]
        firsts = [(await call.read()).outputs.text for call in calls]
        draining = asyncio.create_task(leaves.router.drain())
        await above.state_where(
            lambda state: any(e.draining or e.health == e.DOWN for e in state.sites[0].endpoints)
        )
        assert (await explained(above)).endpoint == f"home/{at(stays)}"
        rests = [(await ended(call))[0] for call in calls]
        assert {first + rest for first, rest in zip(firsts, rests, strict=True)} == {
            counted_on("7", 60)
        }
        await draining
