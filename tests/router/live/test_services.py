"""What a router serves beside streams: control, load, health, reflection."""

import asyncio

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from router.live.services import SERVICES
from tests.router.live.conftest import address, ask, engine, route
from tests.waiting import DEADLINE_S
from wire.spillway.v1 import load_pb2
from wire.vllm import control_pb2

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


async def test_a_router_is_one_server_to_its_clients():
    """Sizes are added up; every name that may be asked for is given."""
    async with engine(served_names=("a", "b")) as one, engine(served_names=("c",)) as two:
        servers = {"home": [address(one)], "cloud": [address(two)]}
        async with route(servers) as routed:
            model = await routed.control.GetModelInfo(control_pb2.GetModelInfoRequest())
            names = {model.served_model_name, *model.served_model_aliases}
            assert names == {"a", "b", "c"}
            server = await routed.control.GetServerInfo(control_pb2.GetServerInfoRequest())
            assert server.instance_id == routed.router.id
            assert server.total_kv_blocks == 2 * 65_536
            assert server.max_running_requests == 2 * 256
            assert server.max_model_len == 32_768
            for name in names:
                assert await routed.stream(ask(model=name))


async def test_control_without_an_endpoint_is_unavailable():
    async with route({}) as routed:
        for call in (
            routed.control.GetModelInfo(control_pb2.GetModelInfoRequest()),
            routed.control.GetServerInfo(control_pb2.GetServerInfoRequest()),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_the_load_of_a_router_is_that_of_its_endpoints():
    """Reported at once, and again when something changes."""
    async with (
        engine(itl_s=0.01) as one,
        engine(itl_s=0.01) as two,
        route({"home": [address(one), address(two)]}) as routed,
    ):
        watch = routed.load.Watch(load_pb2.WatchLoadRequest(max_silence_ms=60_000))
        first = await watch.read()
        assert (first.instance_id, first.running_requests) == (routed.router.id, 0)
        calls = [routed.inference.GenerateStream(ask(max_new_tokens=30_000)) for _ in range(6)]
        for call in calls:
            await call.read()
        async with asyncio.timeout(DEADLINE_S):
            while (report := await watch.read()).running_requests != 6:
                pass
        assert report.max_running_requests == 2 * 256
        assert report.kv_tokens_max == 2 * 65_536 * 16
        assert report.model == "fake"
        assert not report.draining
        for call in calls:
            call.cancel()
        watch.cancel()


async def test_a_router_is_a_site_of_another_router():
    """It is reached, followed and routed to like a replica."""
    async with (
        engine(itl_s=0) as server,
        route({"home": [address(server)]}) as below,
        route({"cloud": [f"127.0.0.1:{below.router.port}"]}) as above,
    ):
        call = above.inference.GenerateStream(ask("7", 3))
        assert len([chunk async for chunk in call]) == 3
        assert dict(await call.trailing_metadata())["x-spillway-site"] == "cloud"
        endpoint = (await above.endpoints())[f"127.0.0.1:{below.router.port}"]
        assert (endpoint.instance_id, endpoint.model) == (below.router.id, "fake")


async def test_health_follows_the_endpoints():
    """NOT_SERVING while no endpoint takes requests; told to every watcher."""
    async with engine() as server, route({"home": [address(server)]}) as routed:
        health = health_pb2_grpc.HealthStub(routed.channel)
        for service in ("", *SERVICES):
            request = health_pb2.HealthCheckRequest(service=service)
            assert (await health.Check(request)).status == SERVING
        one, two = (health.Watch(health_pb2.HealthCheckRequest()) for _ in range(2))
        assert (await one.read()).status == (await two.read()).status == SERVING
        one.cancel()
        await server.stop()
        assert (await asyncio.wait_for(two.read(), DEADLINE_S)).status == NOT_SERVING
        two.cancel()


async def test_health_of_an_unknown_service_is_not_found(one):
    health = health_pb2_grpc.HealthStub(one.channel)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await health.Check(health_pb2.HealthCheckRequest(service="no.Such"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_reflection_lists_every_service(one):
    stub = reflection_pb2_grpc.ServerReflectionStub(one.channel)
    asked = reflection_pb2.ServerReflectionRequest(list_services="")
    call = stub.ServerReflectionInfo(iter([asked]))
    answer = await call.read()
    names = {service.name for service in answer.list_services_response.service}
    assert {*SERVICES, "grpc.health.v1.Health"} <= names
    call.cancel()
