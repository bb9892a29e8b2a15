"""The port for a kubelet: two answers, and nothing else."""

import asyncio
from dataclasses import replace

import aiohttp
import pytest

from router.live.host_receiver import Receiver
from router.live.router import Router
from router.live.settings import SiteAccess
from tests.router.live.conftest import HOME, SETTINGS, ask, fleet_of, route
from tests.router.live.scripted import hangs, says, scripted
from tests.waiting import DEADLINE_S, until

WITH_HEALTH = replace(SETTINGS, health_listen="127.0.0.1:0")


async def asked(port, path):
    """The status of a path."""
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"http://127.0.0.1:{port}{path}") as answer,
    ):
        return answer.status


async def test_a_router_without_a_site_is_live_and_not_ready():
    """It would be started again in vain, and requests would come in vain."""
    async with (
        scripted(says("x")) as server,
        route({"home": [server.address]}, WITH_HEALTH) as routed,
    ):
        port = routed.router.health_port
        await routed.stream(ask())
        assert [await asked(port, path) for path in ("/livez", "/readyz")] == [200, 200]
        await server.die()
        await routed.until_up(0)
        assert [await asked(port, path) for path in ("/livez", "/readyz")] == [200, 503]


async def test_a_router_that_drains_is_live_and_not_ready():
    """What still streams there must not be cut off by a restart."""
    async with scripted(hangs) as server, route({"home": [server.address]}, WITH_HEALTH) as routed:
        running = routed.inference.GenerateStream(ask())
        await running.read()
        draining = asyncio.create_task(routed.router.drain())
        await until(lambda: routed.router._inference.draining)
        port = routed.router.health_port
        assert [await asked(port, path) for path in ("/livez", "/readyz")] == [200, 503]
        running.cancel()
        await asyncio.wait_for(draining, DEADLINE_S)
        with pytest.raises(aiohttp.ClientConnectionError):
            await asked(port, "/livez")


async def test_nothing_else_is_told_there():
    """Metrics have tenants' names in them, and the page has buttons."""
    async with route({}, replace(WITH_HEALTH, metrics_listen="127.0.0.1:0")) as routed:
        for path in ("/", "/metrics", "/healthz", "/livez/.."):
            assert await asked(routed.router.health_port, path) == 404, path
        assert routed.router.metrics_port != routed.router.health_port


async def test_a_taken_port_is_one_clear_error():
    """As that of any other face."""
    async with route({}, WITH_HEALTH) as routed:
        taken = f"127.0.0.1:{routed.router.health_port}"
        router = Router(fleet_of(HOME), [], replace(SETTINGS, health_listen=taken))
        with pytest.raises(OSError, match=taken):
            await router.start()


async def test_the_receiver_of_several_workers_answers_for_them(tmp_path):
    """There is one port, whatever the number of processes."""
    async with scripted(says("x")) as server:
        access = [SiteAccess("home", endpoints=(server.address,))]
        receiver = Receiver(access, WITH_HEALTH, f"unix:{tmp_path / 'receiver'}")
        await receiver.start()
        try:
            port = receiver.health_port
            assert await asked(port, "/livez") == 200
            await until(lambda: receiver._roster.serves)
            assert await asked(port, "/readyz") == 200
        finally:
            await receiver.stop()
