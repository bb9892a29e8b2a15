"""P10 live: a schedule keeps turns away, moves what does not end, and gives it all back."""

import asyncio
import dataclasses

from router.live.lender import Lender
from router.live.settings import DecisionLog
from router.observe.decision_log import read_log
from router.observe.event import LendChanged
from router.observe.replay import replay
from router.policy.fleet import Site, SiteKind
from router.policy.lending import MINUTES_OF_DAY, NS_PER_MINUTE, Lending, LendWindow
from tests.router.live.conftest import CLOUD, SETTINGS, address, ask, engine, fleet_of, route, up
from tests.router.live.counting import counted_on
from tests.waiting import until

ALWAYS = LendWindow(1, 0, MINUTES_OF_DAY)
MORNING = LendWindow(1, 6 * 60, 12 * 60)


def _home(*windows, replicas=2):
    return Site("home", SiteKind.HOME, lending=Lending(replicas, windows))


async def read(call):
    """All messages of a call, and its trailers."""
    messages = [message async for message in call]
    return messages, dict(await call.trailing_metadata())


def text_of(messages):
    return "".join(message.outputs.text for message in messages)


class Core:
    """Notes what it is told."""

    def __init__(self):
        self.told = []

    def tell(self, happening):
        self.told.append(happening)


@dataclasses.dataclass
class Listed:
    name: str
    site: str = "home"


def test_the_core_is_told_once_of_each_change():
    """By the clock, and when the list of endpoints changes."""
    core, roster, hour = Core(), [Listed("home/a"), Listed("home/b"), Listed("c", "cloud")], 5
    lender = Lender(core, roster, [_home(MORNING), CLOUD], lambda: hour * 60 * NS_PER_MINUTE)
    lender.look()
    assert not core.told
    hour = 6
    lender.look()
    lender.look()
    assert core.told == [LendChanged("home", ("home/b",))]
    roster.pop(1)  # it has been taken away: nothing is left to be lent
    lender.look()
    roster.insert(0, Listed("home/b"))
    hour = 12
    lender.look()
    assert core.told[1:] == [LendChanged("home", ())]


async def test_lent_endpoints_are_seen_to_drain_and_get_nothing():
    """Until the window ends, and it does not end today."""
    async with engine(itl_s=0) as one, engine(itl_s=0) as two:
        addresses = sorted((address(one), address(two)))
        fleet = fleet_of(_home(ALWAYS), CLOUD)
        async with route({"home": addresses}, fleet=fleet) as routed:
            await routed.state_where(lambda state: [e.draining for e in up(state)].count(True) == 1)
            for _ in range(4):
                await routed.stream(ask())
            endpoints = await routed.endpoints()
            assert [endpoints[one].draining for one in addresses] == [False, True]


async def test_a_stream_on_a_lent_endpoint_goes_on_elsewhere_at_the_deadline(tmp_path):
    """Its client sees one answer, turns come back after it, and the log of it replays."""
    path = tmp_path / "decisions.jsonl"
    settings = dataclasses.replace(SETTINGS, drain_timeout_s=0.3, decision_log=DecisionLog(path))
    hour = 5
    async with engine(itl_s=0.05) as one, engine(itl_s=0) as cloud:
        where = {"home": [address(one)], "cloud": [address(cloud)]}
        fleet = fleet_of(_home(MORNING, replicas=1), CLOUD)
        async with route(where, settings, fleet) as routed:
            router = routed.router
            router._lender._unix_ns = lambda: hour * 60 * NS_PER_MINUTE
            reading = asyncio.create_task(read(routed.inference.GenerateStream(ask("7", 500))))
            await until(lambda: one.replica.in_flight == 1)
            hour = 6
            messages, trailers = await reading
            assert text_of(messages) == counted_on("7", 500)
            assert trailers["x-spillway-site"] == "cloud"
            assert trailers["x-spillway-resumed"] == "1"
            hour = 12
            await routed.state_where(lambda state: not any(e.draining for e in up(state)))
            _, trailers = await read(routed.inference.GenerateStream(ask("8")))
            assert trailers["x-spillway-site"] == "home"
            await router.drain()
    events = list(read_log(path))
    assert [e.happening.endpoints for e in events if isinstance(e.happening, LendChanged)] == [
        (f"home/{address(one)}",),
        (),
    ]
    assert list(replay(events)) == []
