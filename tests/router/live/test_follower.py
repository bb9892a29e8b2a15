"""How the router learns that an endpoint came, died, came back as another, or is not well."""

import asyncio
import time
from dataclasses import replace

import grpc
import pytest
from grpc_health.v1 import health_pb2

from spillway.local.relay import Relay
from tests.router.live.conftest import SETTINGS, address, ask, ends, engine, route, up
from tests.router.live.scripted import Scripted, hangs, says, scripted
from tests.waiting import DEADLINE_S, until
from wire.spillway.v1 import fleet_pb2


async def test_an_endpoint_says_what_it_serves_and_how_it_fares():
    """Model, instance, load, round trip: all from the endpoint itself."""
    begun_s = time.monotonic()
    async with engine(itl_s=0.01) as server, route({"home": [address(server)]}) as routed:
        call = routed.inference.GenerateStream(ask(max_new_tokens=1_000))
        await call.read()
        state = await routed.state_where(lambda state: up(state)[0].running_requests == 1)
        endpoint = state.sites[0].endpoints[0]
        assert endpoint.name == f"home/{address(server)}"
        assert endpoint.model == "fake"
        assert endpoint.instance_id == server.replica.board.instance_id
        assert endpoint.in_flight == 1
        lasts_s = time.monotonic() - begun_s
        assert 0 < endpoint.rtt_s < lasts_s
        assert 0 <= endpoint.report_age_s < lasts_s
        call.cancel()


async def test_a_plain_server_works_without_reports():
    """No load reports and no health service: it is routed to all the same."""
    async with scripted(says("x")) as server, route({"home": [server.address]}) as routed:
        probe = "/grpc.health.v1.Health/Check"
        await until(lambda: server.unserved.methods.count(probe) > 1)
        endpoint = (await routed.endpoints())[server.address]
        assert endpoint.health == fleet_pb2.EndpointState.UP
        assert endpoint.report_age_s == -1
        assert endpoint.rtt_s > 0
        assert len(await routed.stream(ask())) == 1


async def test_a_dead_endpoint_is_avoided_at_once():
    """The loss of the connection tells; no probe and no request has to find out."""
    never = replace(SETTINGS, rtt_interval_s=3_600.0)
    async with (
        scripted(says("x")) as first,
        scripted(says("y")) as second,
        route({"home": [first.address], "cloud": [second.address]}, never) as routed,
    ):
        await first.die()
        await routed.until_up(1)
        call = routed.inference.GenerateStream(ask())
        assert [chunk.outputs.text async for chunk in call] == ["y"]
        assert dict(await call.trailing_metadata())["x-spillway-attempts"] == "1"


async def test_an_open_stream_of_a_dead_endpoint_ends_at_once():
    """With ABORTED: what was delivered must not be asked for again."""
    async with scripted(hangs) as server, route({"home": [server.address]}) as routed:
        call = routed.inference.GenerateStream(ask())
        await call.read()
        await server.die()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await asyncio.wait_for(call.read(), DEADLINE_S)
        assert ends(routed) == {"unreachable": 1}
        assert caught.value.code() is grpc.StatusCode.ABORTED


async def test_an_endpoint_that_returns_is_used_again():
    """On its old address, and as what it says it is then."""
    async with scripted(says("x")) as server, route({"home": [server.address]}) as routed:
        await server.die()
        await routed.until_up(0)
        returned = Scripted(says("y"), names=("other",))
        await returned.start(port=int(server.address.rpartition(":")[2]))
        state = await routed.until_up(1)
        assert up(state)[0].model == "other"
        chunks = await routed.stream(ask(model="other"))
        assert [chunk.outputs.text for chunk in chunks] == ["y"]
        await returned.die()


async def test_a_restart_that_no_connection_showed_is_seen_in_the_reports():
    """A new instance behind the same connection is asked again who it is."""
    async with (
        engine(served_names=("old",)) as server,
        route({"home": [address(server)]}) as routed,
    ):
        server.replica.engine._info = replace(server.replica.engine.info, served_names=("new",))
        server.replica.board._instance_id = "restarted"
        state = await routed.state_where(lambda state: up(state)[0].model == "new")
        assert up(state)[0].instance_id == "restarted"


async def test_an_endpoint_that_is_not_serving_is_avoided():
    """Its process and its connection live, its engine does not."""
    async with engine() as server, route({"home": [address(server)]}) as routed:
        server.replica.engine.die()
        await routed.until_up(0)


class Gated(Scripted):
    """A server whose health check can be held up, as by a link that swallows packets."""

    gate = None

    async def Check(self, _request, _context):
        await self.gate.wait()
        return health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)

    def services(self):
        check = grpc.unary_unary_rpc_method_handler(
            self.Check,
            health_pb2.HealthCheckRequest.FromString,
            health_pb2.HealthCheckResponse.SerializeToString,
        )
        return {**super().services(), "grpc.health.v1.Health": {"Check": check}}


async def test_a_link_that_swallows_packets_is_a_lost_connection():
    """Two probes without an answer; one with an answer brings it back."""
    server = Gated(says("x"))
    server.gate = asyncio.Event()
    server.gate.set()
    await server.start()
    quick = replace(SETTINGS, rtt_interval_s=0.2)
    async with route({"home": [server.address]}, quick) as routed:
        server.gate.clear()
        await routed.until_up(0)
        server.gate.set()
        await routed.until_up(1)
    await server.die()


async def test_a_connection_that_is_dead_on_the_far_side_alone_is_replaced():
    """The channel takes it for ready for ever; a new one works, and the endpoint is used again."""
    async with (
        engine(itl_s=0) as server,
        Relay(address(server)) as relay,
        route({"home": [relay.address]}) as routed,
    ):
        relay.half_open()
        await routed.state_where(lambda state: not up(state))
        await routed.state_where(up)
        assert (await routed.stream(ask()))[-1].outputs.text


async def test_no_task_is_left_of_endpoints_that_went():
    """Endpoints come, serve, die and are delisted; nothing follows them any more."""
    async with engine(itl_s=0) as lasting, route({"home": [address(lasting)]}) as routed:
        await routed.stream(ask())
        roster = routed.router._roster
        tasks = len(asyncio.all_tasks())
        for _ in range(3):
            async with engine(itl_s=0) as one, engine(itl_s=0) as two:
                listed = [address(lasting), address(one), address(two)]
                roster.set_site("home", listed)
                await routed.until_up(3)
                await asyncio.gather(*(routed.stream(ask()) for _ in range(10)))
                roster.set_site("home", listed[:2])
            roster.set_site("home", listed[:1])
            await routed.until_up(1)
        await until(lambda: len(asyncio.all_tasks()) <= tasks)
        assert not roster._retiring


async def test_a_delisted_endpoint_finishes_its_streams():
    """No new requests go there; what runs is not cut."""
    finish = asyncio.Event()

    async def slow(raw, context):
        await says("a")(raw, context)
        await finish.wait()
        await says("b")(raw, context)

    async with (
        scripted(slow) as server,
        engine(itl_s=0) as other,
        route({"home": [server.address]}) as routed,
    ):
        call = routed.inference.GenerateStream(ask())
        assert (await call.read()).outputs.text == "a"
        routed.router._roster.set_site("home", [address(other)])
        await routed.state_where(lambda state: address(other) in {e.address for e in up(state)})
        assert len(await routed.stream(ask())) > 1
        assert len(server.calls) == 1
        finish.set()
        assert (await call.read()).outputs.text == "b"


class Babbling(Scripted):
    """A server that answers every question with bytes that are no message."""

    babbled = 0

    def services(self):
        async def one(_raw, _context):
            self.babbled += 1
            return b"\xff\xff"

        async def many(_raw, _context):
            yield b"\xff\xff"

        unary = grpc.unary_unary_rpc_method_handler(one)
        stream = grpc.unary_stream_rpc_method_handler(many)
        info = {} if self.names == ("fake",) else super().services()["vllm.Control"]
        return {
            "vllm.Control": {"GetModelInfo": unary, "GetServerInfo": unary, **info},
            "grpc.health.v1.Health": {"Check": unary},
            "spillway.v1.Load": {"Watch": stream},
        }


async def test_an_endpoint_that_babbles_disturbs_nobody(caplog):
    """One that cannot say who it is is not used; one that only reports nonsense is."""
    mute, confused = Babbling(says("x")), Babbling(says("x"), names=("fake", "odd"))
    await mute.start()
    await confused.start()
    async with route({"home": [mute.address, confused.address]}, wait_for=1) as routed:
        await until(lambda: confused.babbled > 2 and mute.babbled > 2)
        assert [endpoint.address for endpoint in up(await routed.state())] == [confused.address]
        following = [endpoint._following for endpoint in routed.router._roster]
        assert not any(task.done() for task in following)
    await mute.die()
    await confused.die()
