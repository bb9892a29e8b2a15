"""P10 live: a schedule keeps turns away, moves what does not end, and gives it all back."""

import asyncio
import dataclasses
import time
from types import SimpleNamespace

import grpc
import pytest

from router.live.lender import Lender
from router.live.settings import DecisionLog
from router.observe.decision_log import read_log
from router.observe.event import LendChanged, LoansChanged
from router.observe.replay import replay
from router.policy.fleet import Site, SiteKind
from router.policy.lending import (
    MINUTES_OF_DAY,
    NS_PER_MINUTE,
    Lending,
    LendWindow,
    Reclaim,
)
from router.policy.loan import LoanError
from tests.router.live.conftest import CLOUD, SETTINGS, address, ask, engine, fleet_of, route, up
from tests.router.live.counting import counted_on
from tests.waiting import until
from wire.spillway.v1 import fleet_pb2

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
    """Notes what it is told, and has endpoints with so many streams."""

    def __init__(self, streams=()):
        self.told = []
        self.streams = dict(streams)
        self.spent_usd = 0.0

    def tell(self, happening):
        self.told.append(happening)

    def snapshot(self):
        endpoints = [SimpleNamespace(name=n, streams=count) for n, count in self.streams.items()]
        home = SimpleNamespace(name="home", kind=SiteKind.HOME, endpoints=endpoints, spend_usd=9e9)
        cloud = SimpleNamespace(
            name="cloud", kind=SiteKind.RENTED, endpoints=[], spend_usd=self.spent_usd
        )
        return SimpleNamespace(sites=[home, cloud], shared=None)

    def lent(self):
        """The endpoints that are lent, by all that it was told."""
        told = [one.endpoints for one in self.told if isinstance(one, LendChanged)]
        return told[-1] if told else ()


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


HOURS = 60 * NS_PER_MINUTE
THREE = {"home/a": 3, "home/b": 0, "home/c": 5}


def lender_of(core, site, now_hours):
    """A lender of three replicas; `now_hours` is a list of one number, the time."""
    roster = [Listed(name) for name in core.streams]
    return Lender(core, roster, [site, CLOUD], lambda: int(now_hours[0] * HOURS)), roster


def test_those_with_the_fewest_streams_are_lent_and_stay_so():
    """Whatever streams do afterwards, and until the end of the loan, which nobody has to say."""
    core, now = Core(THREE), [5]
    lender, _ = lender_of(core, Site("home", SiteKind.HOME), now)
    lender.lend("home", 1, 9 * HOURS, "training")
    assert core.lent() == ("home/b",)
    core.streams.update({"home/b": 9, "home/a": 0})
    lender.lend("home", 2, 9 * HOURS, "training")
    assert core.lent() == ("home/a", "home/b")
    lender.reclaim("home", 1)
    lender.look()
    assert len(core.lent()) == 1
    now[0] = 9
    lender.look()
    assert core.lent() == ()
    assert all(told.loans.is_empty for told in lender.all_loans())


def test_a_loan_and_a_window_lend_together():
    """What is listed no more has been taken, and is not taken twice."""
    core, now = Core(THREE), [6]
    lender, roster = lender_of(core, _home(MORNING, replicas=3), now)
    lender.look()
    assert core.lent() == ("home/c",)
    lender.lend("home", 1, 20 * HOURS, "")
    assert core.lent() == ("home/b", "home/c")
    roster.pop(1)
    roster.pop(1)
    lender.look()
    assert core.lent() == ()
    now[0] = 12
    roster.append(Listed("home/d"))
    lender.look()
    assert core.lent() == ()


@pytest.mark.parametrize(("worth", "left"), [(1.9, 1), (None, 2), (9.0, 2)])
def test_replicas_return_that_overflow_would_pay_for(worth, left):
    """One of two, where an hour costs two dollars; the decision log says why."""
    core, now = Core(THREE), [5]
    site = Site("home", SiteKind.HOME, reclaim=Reclaim(worth_usd_per_hour=worth))
    lender, _ = lender_of(core, site, now)
    lender.lend("home", 2, 9 * HOURS, "training")
    for second in range(900):
        now[0], core.spent_usd = 5 + second / 3_600, second / 1_800
        lender.look()
        if second == 60:
            assert len(core.lent()) == 2
    assert len(core.lent()) == left
    whys = [told.why for told in core.told if isinstance(told, LoansChanged)]
    assert any("a lent replica is worth 1.90" in why for why in whys) == (left == 1)


def test_one_look_has_one_time():
    """Else more is taken back than is lent yet, where a window opens in the middle of a look."""
    core, readings = Core(THREE), [5 * HOURS]
    site = Site(
        "home",
        SiteKind.HOME,
        lending=Lending(3, (MORNING,)),
        reclaim=Reclaim(worth_usd_per_hour=1.0),
    )
    lender = Lender(
        core,
        [Listed(name) for name in core.streams],
        [site, CLOUD],
        lambda: readings.pop(0) if len(readings) > 1 else readings[0],
    )
    lender.lend("home", 1, 9 * HOURS, "")
    readings[:] = [6 * HOURS - 10**9]
    lender.look()
    core.spent_usd = 1e6
    readings[:] = [6 * HOURS - 1, 6 * HOURS]
    lender.look()
    assert core.lent() == ()


def test_only_home_lends():
    """A rented replica that is not needed costs less when it is given back."""
    lender, _ = lender_of(Core(THREE), Site("home", SiteKind.HOME), [5])
    with pytest.raises(LoanError, match="only home lends"):
        lender.lend("cloud", 1, 9 * HOURS, "")


def lend(replicas=1, site="home", after_s=3_600.0, reason="training"):
    until_unix_ns = time.time_ns() + int(after_s * 10**9)
    return fleet_pb2.LendRequest(
        site=site, replicas=replicas, until_unix_ns=until_unix_ns, reason=reason
    )


async def test_an_operator_lends_and_takes_back():
    """Explain says why nothing goes there, the state and the metrics say until when."""
    async with engine(itl_s=0) as one, engine(itl_s=0) as two:
        addresses = sorted((address(one), address(two)))
        async with route({"home": addresses}) as routed:
            await routed.until_up(2)
            request = lend()
            lent = await routed.fleet.Lend(request)
            assert (lent.loaned, lent.of, lent.reason) == (1, 2, "training")
            assert lent.endpoints == [f"home/{addresses[1]}"]
            assert await routed.fleet.Lend(request) == lent
            told = (await routed.state()).sites[0]
            assert told.lent == lent
            assert [one.lent for one in told.endpoints].count(True) == 1
            asked = await routed.fleet.Explain(fleet_pb2.ExplainRequest(request=ask()))
            excluded = {one.endpoint: one.excluded for one in asked.candidates}
            assert excluded[f"home/{addresses[1]}"] == "lent to other work"
            assert lent_metrics(routed) == (1.0, pytest.approx(request.until_unix_ns / 1e9))
            assert (await routed.fleet.ListLent(fleet_pb2.ListLentRequest())).lent == [lent]
            for _ in range(4):
                await routed.stream(ask())
            back = await routed.fleet.Reclaim(fleet_pb2.ReclaimRequest(site="home"))
            assert back.loaned == back.scheduled == 0
            assert not (await routed.state()).sites[0].HasField("lent")
            assert lent_metrics(routed) == (0.0, 0.0)
            assert await routed.fleet.Reclaim(fleet_pb2.ReclaimRequest(site="home")) == back


def lent_metrics(routed):
    """How many replicas home lends, and until when, as Prometheus hears it."""
    get = routed.router._sinks.registry.get_sample_value
    names = ("spillway_lent_replicas", "spillway_lent_until_timestamp_seconds")
    return tuple(get(name, {"site": "home"}) for name in names)


@pytest.mark.parametrize(
    ("request_", "code", "says"),
    [
        (lend(site="moon"), grpc.StatusCode.NOT_FOUND, "there is no site 'moon'"),
        (lend(3), grpc.StatusCode.INVALID_ARGUMENT, "it has 2 replicas, and cannot lend 3"),
        (lend(0), grpc.StatusCode.INVALID_ARGUMENT, "at least one replica"),
        (lend(site="cloud"), grpc.StatusCode.INVALID_ARGUMENT, "only home lends"),
        (lend(after_s=-1), grpc.StatusCode.INVALID_ARGUMENT, "until_unix_ns: the loan would be"),
        (lend(after_s=1e7), grpc.StatusCode.INVALID_ARGUMENT, "at most 14 days"),
        (lend(reason="x" * 999), grpc.StatusCode.INVALID_ARGUMENT, "at most 200"),
    ],
)
async def test_what_cannot_be_lent_is_refused(request_, code, says):
    """In one sentence which names the field, and nothing is lent."""
    async with engine(itl_s=0) as one, engine(itl_s=0) as two, engine(itl_s=0) as cloud:
        where = {"home": [address(one), address(two)], "cloud": [address(cloud)]}
        async with route(where) as routed:
            await routed.until_up(3)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await routed.fleet.Lend(request_)
            assert (caught.value.code(), says in caught.value.details()) == (code, True)
            assert not (await routed.fleet.ListLent(fleet_pb2.ListLentRequest())).lent


async def test_the_last_replica_that_serves_is_not_lent():
    """Where no other site takes turns, home keeps one."""
    async with engine(itl_s=0) as one, route({"home": [address(one)]}) as routed:
        await routed.until_up(1)
        with pytest.raises(grpc.aio.AioRpcError, match="home has to keep a replica"):
            await routed.fleet.Lend(lend())


async def test_the_last_replica_that_a_schedule_leaves_is_not_lent():
    """What it lends already is not there to be kept."""
    async with engine(itl_s=0) as one, engine(itl_s=0) as two:
        fleet = fleet_of(_home(ALWAYS), CLOUD)
        async with route({"home": [address(one), address(two)]}, fleet=fleet) as routed:
            await routed.until_up(2)
            with pytest.raises(grpc.aio.AioRpcError, match="home has to keep a replica"):
                await routed.fleet.Lend(lend())


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
