"""The life of a router: start, drain, stop, and what stands in its way."""

import asyncio
from dataclasses import replace

import aiohttp
import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from router.live.router import Router
from router.live.settings import DecisionLog, SiteAccess
from router.observe.decision_log import read_log
from router.observe.event import RequestArrived
from router.observe.replay import replay
from router.policy.decision import Send
from tests.router.live import http2
from tests.router.live.conftest import (
    CLOUD,
    HOME,
    SETTINGS,
    address,
    ask,
    engine,
    fleet_of,
    route,
    up,
)
from tests.router.live.scripted import fails, hangs, message, says, scripted
from tests.waiting import DEADLINE_S, until

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


async def test_a_drain_finishes_what_runs_and_refuses_what_comes():
    """Health says so at once; then the router closes by itself."""
    finish = asyncio.Event()

    async def slow(_raw, context):
        await context.write(message("a"))
        await finish.wait()
        await context.write(message("b"))

    async with scripted(slow) as server, route({"home": [server.address]}) as routed:
        running = routed.inference.GenerateStream(ask())
        await running.read()
        draining = asyncio.create_task(routed.router.drain())
        health = health_pb2_grpc.HealthStub(routed.channel)
        await until(lambda: routed.router._inference.draining)
        status = (await health.Check(health_pb2.HealthCheckRequest())).status
        assert status == health_pb2.HealthCheckResponse.NOT_SERVING
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await routed.stream(ask())
        assert caught.value.code() is UNAVAILABLE
        assert "draining" in caught.value.details()
        finish.set()
        assert (await running.read()).outputs.text == "b"
        await asyncio.wait_for(draining, DEADLINE_S)
        await asyncio.wait_for(routed.router.wait_closed(), DEADLINE_S)


async def test_a_drain_has_an_end():
    """Streams that take longer than they may are cut off."""
    settings = replace(SETTINGS, drain_timeout_s=0.2)
    async with scripted(hangs) as server, route({"home": [server.address]}, settings) as routed:
        running = routed.inference.GenerateStream(ask())
        await running.read()
        await asyncio.wait_for(routed.router.drain(), DEADLINE_S)
        await until(server.cancelled.is_set)
        with pytest.raises(grpc.aio.AioRpcError):
            await running.read()


async def test_stopping_leaves_no_task():
    """Not of watches, either, that nobody ended."""
    before = len(asyncio.all_tasks())
    async with engine(itl_s=0) as server, route({"home": [address(server)]}) as routed:
        watch = health_pb2_grpc.HealthStub(routed.channel).Watch(health_pb2.HealthCheckRequest())
        await watch.read()
        await routed.stream(ask())
        await asyncio.gather(routed.router.stop(0.0), routed.router.stop(0.0))
        watch.cancel()
    await until(lambda: len(asyncio.all_tasks()) <= before)


async def test_a_taken_port_is_one_clear_error():
    """Of gRPC and of the metrics alike; what was begun is taken back."""
    async with route({}) as routed:
        for settings in (
            replace(SETTINGS, listen=f"127.0.0.1:{routed.router.port}"),
            replace(SETTINGS, metrics_listen=f"127.0.0.1:{routed.router.port}"),
        ):
            router = Router(fleet_of(HOME), [], settings)
            with pytest.raises(OSError, match=str(routed.router.port)):
                await router.start()
            await asyncio.wait_for(router.wait_closed(), DEADLINE_S)


def test_access_to_an_unknown_site_is_refused():
    with pytest.raises(ValueError, match="moon"):
        Router(fleet_of(HOME), [SiteAccess("moon", endpoints=("127.0.0.1:1",))], SETTINGS)


async def test_metrics_and_health_over_http():
    """Counts by site and status; 503 while nothing can be served."""
    settings = replace(SETTINGS, metrics_listen="127.0.0.1:0")
    async with (
        scripted(says("x")) as server,
        aiohttp.ClientSession() as http,
        route({"home": [server.address]}, settings) as routed,
    ):
        url = f"http://127.0.0.1:{routed.router.metrics_port}"
        await routed.stream(ask())
        async with http.get(f"{url}/healthz") as answer:
            assert answer.status == 200
        async with http.get(f"{url}/metrics") as answer:
            text = await answer.text()
        assert 'spillway_calls_total{code="OK",method="GenerateStream"} 1.0' in text
        assert 'spillway_attempts_total{end="ok",site="home"} 1.0' in text
        assert 'spillway_open_streams{site="home"} 0.0' in text
        assert 'spillway_endpoints{health="up",site="home"} 1.0' in text
        await server.die()
        await routed.until_up(0)
        async with http.get(f"{url}/healthz") as answer:
            assert answer.status == 503


async def test_noise_on_the_metrics_port_is_answered_and_not_logged(caplog):
    """What a client got wrong is told to the client; a traceback would blame the router."""
    settings = replace(SETTINGS, metrics_listen="127.0.0.1:0")
    async with route({}, settings) as routed:
        for noise in (
            b"\x00" * 1_000,
            b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n",
            b"GET /metrics HTTP/1.1\r\n\r\n",
        ):
            answer = await http2.exchange(
                routed.router.metrics_port, noise, lambda got: b" " in got
            )
            assert answer.startswith(b"HTTP/1.0 400 ")
    assert not caplog.records


async def test_metrics_of_endpoints_that_went_are_gone():
    """A label for each endpoint that ever was would grow without bound."""
    settings = replace(SETTINGS, metrics_listen="127.0.0.1:0")
    async with (
        engine() as one,
        engine() as two,
        aiohttp.ClientSession() as http,
        route({"home": [address(one)]}, settings) as routed,
    ):
        routed.router._roster.set_site("home", [address(two)])
        await routed.state_where(lambda state: [e.address for e in up(state)] == [address(two)])
        url = f"http://127.0.0.1:{routed.router.metrics_port}/metrics"
        async with http.get(url) as answer:
            text = await answer.text()
        assert address(two) in text
        assert address(one) not in text


async def test_the_decision_log_of_a_live_run_replays_identically(tmp_path):
    """Every input and decision is there: a new core told the same decides the same."""
    path = tmp_path / "decisions.jsonl"
    settings = replace(SETTINGS, decision_log=DecisionLog(path))
    async with (
        engine(itl_s=0.001) as home,
        engine(itl_s=0.001) as cloud,
        scripted(fails(UNAVAILABLE)) as bad,
    ):
        servers = {"home": [address(home), bad.address], "cloud": [address(cloud)]}
        async with route(servers, settings, fleet_of(HOME, CLOUD)) as routed:

            async def client(number):
                request = ask(str(number) * 100, 10, session_id=f"s{number % 9}")
                async for _ in routed.inference.GenerateStream(request):
                    pass

            for _ in range(3):
                await asyncio.gather(*(client(n) for n in range(20)))
            await bad.die()
            await asyncio.gather(*(client(n) for n in range(20)))
            await routed.router.drain()
    events = list(read_log(path))
    sent = [event.decision for event in events if isinstance(event.decision, Send)]
    assert sum(isinstance(event.happening, RequestArrived) for event in events) == 80
    assert any(decision.endpoint.endswith(bad.address) for decision in sent)
    assert list(replay(events)) == []
