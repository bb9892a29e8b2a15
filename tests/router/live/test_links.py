"""Streams over links that break, hang or are merely slow."""

import asyncio
import contextlib
import dataclasses

import pytest

from router.policy.units import NS_PER_S
from spillway.local.relay import Link, Relay
from tests.router.live.conftest import (
    CLOUD,
    HOME,
    SETTINGS,
    address,
    ask,
    at_rest,
    ends,
    engine,
    fleet_of,
    reports_come_from,
    route,
)
from tests.router.live.counting import counted_on
from tests.waiting import DEADLINE_S, until

pytestmark = pytest.mark.usefixtures("transport", "vigilant")


@contextlib.asynccontextmanager
async def relayed(server, link=None):
    """A relay in front of an engine."""
    relay = Relay(address(server), link)
    await relay.start()
    try:
        with reports_come_from(relay.address):
            yield relay
    finally:
        await relay.close()


async def answers(routed, count, tokens):
    """So many streams at once; their texts, and how often each was resumed."""

    async def one(number):
        call = routed.inference.GenerateStream(ask(str(number), tokens))
        text = "".join([message.outputs.text async for message in call])
        trailers = dict(await call.trailing_metadata())
        return text, int(trailers.get("x-spillway-resumed", 0))

    return await asyncio.gather(*(one(number) for number in range(count)))


@pytest.mark.parametrize(
    ("fault", "end"), [("stall", "stalled"), ("half_open", "stalled"), ("reset", "unreachable")]
)
async def test_a_link_that_breaks_costs_a_pause(fault, end):
    """Black-holed or half open, nothing says so but the silence; reset, nobody waits for that."""
    async with (
        engine(itl_s=0.05) as far,
        engine(itl_s=0) as near,
        relayed(far) as relay,
        route({"home": [relay.address], "cloud": [address(near)]}) as routed,
    ):
        running = asyncio.create_task(answers(routed, 4, 300))
        await until(lambda: far.replica.in_flight == 4)
        await until(lambda: all(t.attempt.messages > 5 for t in routed.router._inference.turns))
        getattr(relay, fault)()
        async with asyncio.timeout(DEADLINE_S):
            given = await running
        for number, (text, resumed) in enumerate(given):
            assert text == counted_on(str(number), 300)
            assert resumed == 1
        assert ends(routed) == {end: 4}


async def test_when_a_link_carries_again_nothing_is_left_behind():
    """What was given up behind it is aborted, and the endpoint is used again."""
    async with (
        engine(itl_s=0.05) as far,  # which would take longer for its answers than anybody waits
        engine(itl_s=0) as near,
        relayed(far) as relay,
        route({"home": [relay.address], "cloud": [address(near)]}) as routed,
    ):
        running = asyncio.create_task(answers(routed, 3, 2_000))
        await until(lambda: far.replica.in_flight == 3)
        relay.stall()
        await routed.state_where(lambda state: state.sites[0].trouble == state.sites[0].LINK)
        ((text, resumed),) = await answers(routed, 1, 20)
        assert (text, resumed) == (counted_on("0", 20), 0)
        await running
        relay.resume()
        await routed.until_up(2)
        await at_rest(routed, far, near)


async def test_a_slow_link_is_not_a_broken_one():
    """Late, jittery and lossy as it is, its streams stay where they are."""
    link = Link(delay_s=0.1, loss=0.01, retransmission_s=0.2)
    settings = dataclasses.replace(SETTINGS, load_silence_max_s=0.5, rtt_interval_s=2.0)
    async with (
        engine(itl_s=0.01) as far,
        engine(itl_s=0.01) as near,
        relayed(far, link) as relay,
        route({"home": [relay.address], "cloud": [address(near)]}, settings) as routed,
    ):
        for number, (text, resumed) in enumerate(await answers(routed, 8, 150)):
            assert text == counted_on(str(number), 150)
            assert resumed == 0


async def test_a_saturated_engine_is_not_a_dead_one():
    """Many more streams than it has places: some wait long, and none is given up."""
    async with (
        engine(itl_s=0.005, max_running=8, prefill_tokens_per_s=2_000) as one,
        engine(itl_s=0.005, max_running=8, prefill_tokens_per_s=2_000) as two,
        route(
            {"home": [address(one)], "cloud": [address(two)]},
            fleet=fleet_of(HOME, CLOUD, patience_ns=60 * NS_PER_S),
        ) as routed,
    ):
        for number, (text, resumed) in enumerate(await answers(routed, 64, 40)):
            assert text == counted_on(str(number), 40)
            assert resumed == 0
        state = await routed.state()
        assert [site.failures for site in state.sites] == [0, 0]
