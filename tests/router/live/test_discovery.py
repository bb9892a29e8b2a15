"""Endpoints from a fake Ray dashboard."""

import contextlib

import pytest
from aiohttp import web

from router.live.ray_dashboard import grpc_targets
from router.live.settings import SiteAccess
from tests.router.live.conftest import address, ask, engine, route, up
from tests.router.live.scripted import says, scripted
from tests.waiting import until
from wire.tls.plaintext import ACCEPTED


class Dashboard:
    """Answers GET /api/serve/applications/ like Ray, with the targets it is given."""

    def __init__(self):
        self.addresses = []
        self.failing = False
        self.asked = 0
        self.answered = 0
        self.url = ""

    async def answer(self, _request):
        self.asked += 1
        if self.failing:
            raise web.HTTPServiceUnavailable
        self.answered += 1
        return web.json_response(
            {
                "applications": {},
                "target_groups": [
                    group("gRPC", self.addresses),
                    group("HTTP", ["127.0.0.1:1"]),
                ],
            }
        )


def group(protocol, addresses, app_name="llm"):
    targets = [
        {"ip": host, "port": int(port), "instance_id": "i", "name": "n"}
        for host, _, port in (one.rpartition(":") for one in addresses)
    ]
    return {
        "protocol": protocol,
        "route_prefix": "/",
        "app_name": app_name,
        "targets": targets,
    }


@contextlib.asynccontextmanager
async def dashboard():
    served = Dashboard()
    app = web.Application()
    app.router.add_get("/api/serve/applications/", served.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    served.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield served
    finally:
        await runner.cleanup()


def listed_by(board, **fields):
    return {"home": SiteAccess("home", dashboard_url=board.url, **fields)}


async def test_replicas_are_used_as_they_are_listed():
    """One look is enough; no longer when they are not; a hand-written endpoint stays beside."""
    async with dashboard() as board, engine(itl_s=0) as one, engine(itl_s=0) as two:
        way = listed_by(board, endpoints=(address(one),))
        async with route(way, wait_for=1) as routed:
            board.addresses = [address(two)]
            looks = board.answered
            await until(lambda: board.answered > looks)
            board.failing = True
            await routed.until_up(2)
            board.failing = False
            assert set(await routed.endpoints()) == {address(one), address(two)}
            board.addresses = ["127.0.0.1:1"]
            state = await routed.until_up(1)
            assert [endpoint.address for endpoint in up(state)] == [address(one)]


async def test_a_listed_dead_replica_is_not_up():
    """The list names it for seconds more; its connection is believed."""
    async with dashboard() as board, scripted(says("x")) as dying, engine(itl_s=0) as other:
        board.addresses = [dying.address, address(other)]
        async with route(listed_by(board), wait_for=2) as routed:
            await dying.die()
            await routed.until_up(1)
            asked = board.asked
            await until(lambda: board.asked >= asked + 3)
            await routed.until_up(1)
            for _ in range(5):
                call = routed.inference.GenerateStream(ask())
                assert [chunk async for chunk in call]
                assert dict(await call.trailing_metadata())["x-spillway-attempts"] == "1"


async def test_a_dashboard_that_cannot_be_asked_changes_nothing():
    """Its replicas serve on; when it answers again, it is believed again."""
    async with dashboard() as board, engine(itl_s=0) as one, engine(itl_s=0) as two:
        board.addresses = [address(one)]
        async with route(listed_by(board), wait_for=1) as routed:
            board.failing = True
            asked = board.asked
            await until(lambda: board.asked >= asked + 5)
            assert await routed.stream(ask())
            registry = routed.router._sinks.registry
            assert registry.get_sample_value("spillway_discovery_failing", {"site": "home"}) == 1
            board.addresses, board.failing = [address(two)], False
            await routed.state_where(
                lambda state: [e.address for e in state.sites[0].endpoints] == [address(two)]
            )


async def test_an_empty_list_is_believed_at_the_third_time():
    """A Serve controller that restarts lists nothing for a moment, and its replicas serve on."""
    async with dashboard() as board, engine(itl_s=0) as server:
        board.addresses = [address(server)]
        async with route(listed_by(board), wait_for=1) as routed:
            board.addresses = []
            asked = board.asked
            await until(lambda: board.asked > asked)
            assert await routed.stream(ask())
            await routed.state_where(lambda state: not state.sites[0].endpoints)
            assert board.asked - asked >= 3


async def test_a_site_without_a_dashboard_does_not_hold_up_another():
    async with engine(itl_s=0) as server:
        ways = {
            "home": SiteAccess("home", dashboard_url="http://127.0.0.1:1"),
            "cloud": [address(server)],
        }
        async with route(ways, wait_for=1) as routed:
            assert await routed.stream(ask())


def test_targets_are_those_of_the_application_and_of_grpc():
    answer = {
        "target_groups": [
            group("gRPC", ["10.0.0.1:40000", "10.0.0.2:40000"]),
            group("gRPC", ["10.0.0.1:40001"], app_name="other"),
            group("HTTP", ["10.0.0.1:30000"]),
        ]
    }
    assert list(grpc_targets(answer, "llm", None)) == ["10.0.0.1:40000", "10.0.0.2:40000"]
    assert len(list(grpc_targets(answer, None, None))) == 3
    assert list(grpc_targets(answer, "other", "127.0.0.1")) == ["127.0.0.1:40001"]


def test_an_ipv6_target_is_bracketed():
    answer = {"target_groups": [group("gRPC", ["fd00::1:40000"])]}
    assert list(grpc_targets(answer, None, None)) == ["[fd00::1]:40000"]


@pytest.mark.parametrize("answer", [[], {}, {"target_groups": 3}, {"target_groups": [{}]}])
def test_another_shape_is_an_error(answer):
    with pytest.raises((KeyError, TypeError, ValueError, AttributeError)):
        list(grpc_targets(answer, None, None))


async def test_replicas_on_other_machines_are_not_reached_in_plaintext_by_oversight(caplog):
    """A dashboard that seems to be here may list what is elsewhere; the log says what to write."""
    async with dashboard() as board, engine(itl_s=0) as server:
        board.addresses = [address(server), "10.0.0.7:9000"]
        async with route(listed_by(board), wait_for=0):
            await until(lambda: "it lists 10.0.0.7:9000, which is not this machine" in caplog.text)
            assert f"plaintext: {ACCEPTED}" in caplog.text
        async with route(listed_by(board, plaintext=ACCEPTED), wait_for=1):
            pass
