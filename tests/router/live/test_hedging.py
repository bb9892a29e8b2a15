"""A second site for an overdue first token, live: the quicker answers, the other is cancelled."""

import grpc
import pytest

from router.policy.fleet import Fleet, Price, Site, SiteKind, SloClass
from router.policy.units import NS_PER_S
from tests.router.live.conftest import HOME, ask, route
from tests.router.live.scripted import fails, says, scripted, stays_silent
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("transport")

SLO = SloClass("chat", NS_PER_S, 5 * NS_PER_S, hedge_share=1.0)
CALM = SloClass("chat", 100 * NS_PER_S, 5 * NS_PER_S, hedge_share=1.0)
FREE = Site("cloud", SiteKind.RENTED, price=Price(committed_replicas=1))
FLEET = Fleet((HOME, FREE), (SLO,), "chat")


async def _trailers(call) -> dict:
    async for _ in call:
        pass
    return dict(await call.trailing_metadata())


async def test_a_silent_site_is_beaten_by_the_other():
    """The stream comes from there, and the silent attempt is cancelled."""
    async with scripted(stays_silent) as home, scripted(says("x", "y")) as cloud:
        servers = {"home": [home.address], "cloud": [cloud.address]}
        async with route(servers, fleet=FLEET) as routed:
            call = routed.inference.GenerateStream(ask(session_id="s"), timeout=60.0)
            trailers = await _trailers(call)
            assert trailers["x-spillway-site"] == "cloud"
            await until(lambda: home.open == 0)
            (near, far) = (await routed.state_where(lambda s: not s.open_streams)).sites
            assert (near.sessions, far.sessions) == (0, 1)


async def test_a_quick_site_is_not_hedged():
    """Its first token is there before the promise is broken."""
    async with scripted(says("x")) as home, scripted(says("x")) as cloud:
        servers = {"home": [home.address], "cloud": [cloud.address]}
        async with route(servers, fleet=Fleet((HOME, FREE), (CALM,), "chat")) as routed:
            for _ in range(5):
                await routed.stream(ask())
            assert len(home.calls) == 5
            assert not cloud.calls


async def test_a_second_site_that_fails_leaves_the_first_to_go_on():
    """The client sees nothing of it."""
    late = says("late")

    async def slow(raw, context):
        await until(lambda: cloud.calls and not cloud.open)
        await late(raw, context)

    broken = fails(grpc.StatusCode.INTERNAL)
    async with scripted(slow) as home, scripted(broken) as cloud:
        servers = {"home": [home.address], "cloud": [cloud.address]}
        async with route(servers, fleet=FLEET) as routed:
            trailers = await _trailers(routed.inference.GenerateStream(ask()))
            assert trailers["x-spillway-site"] == "home"
            assert len(cloud.calls) == 1


async def test_a_client_that_goes_ends_both():
    """Nothing is left at either site, nor in the core."""
    async with scripted(stays_silent) as home, scripted(stays_silent) as cloud:
        servers = {"home": [home.address], "cloud": [cloud.address]}
        async with route(servers, fleet=FLEET) as routed:
            call = routed.inference.GenerateStream(ask())
            await until(lambda: home.open and cloud.open)
            call.cancel()
            await until(lambda: not home.open and not cloud.open)
            await routed.state_where(lambda state: not state.open_streams)


async def test_a_class_that_does_not_ask_is_not_hedged():
    """No second site ever joins a silent first one; for a class that asks, there is a time."""
    plain = SloClass("chat", NS_PER_S, 5 * NS_PER_S)
    for slo, asks in ((plain, False), (SLO, True)):
        async with scripted(stays_silent) as home, scripted(stays_silent) as cloud:
            servers = {"home": [home.address], "cloud": [cloud.address]}
            async with route(servers, fleet=Fleet((HOME, FREE), (slo,), "chat")) as routed:
                call = routed.inference.GenerateStream(ask())
                await until(lambda home=home: home.open)
                (turn,) = routed.router._inference.turns
                assert bool(turn.attempt.send.hedge_ns) is asks
                call.cancel()
