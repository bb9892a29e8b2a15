"""A fleet file that is read again: what the core keeps, what it changes, and what it leaves."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.policy.core import RouterCore
from router.policy.decision import Refuse, Rule, Send, Wait
from router.policy.endpoint import Endpoint
from router.policy.fleet import Fleet, Limits, Price, Site, SiteKind, SloClass, Tenant
from router.policy.load import LoadReport
from router.policy.outcome import End, Ended, FirstToken
from router.policy.request import Request
from router.policy.resume import ResumePoint
from router.policy.spend import Budget
from router.policy.tenants import RateBound
from router.policy.units import NS_PER_HOUR, NS_PER_S

HOME = Site("home", SiteKind.HOME)
CLOUD = Site(
    "cloud",
    SiteKind.RENTED,
    price=Price(metered_usd_per_replica_hour=3_600.0, budget_usd_per_hour=40.0),
)
CHAT = SloClass("chat", 10 * NS_PER_S, NS_PER_S)
BATCH = SloClass("batch", 100 * NS_PER_S, NS_PER_S, confidence=0.5, priority=2)
FLEET = Fleet((HOME, CLOUD), (CHAT, BATCH), "chat")


class Bench:
    """A core with an endpoint at each of its sites."""

    def __init__(self, fleet=FLEET) -> None:
        self.core, self.now, self.rng, self.count = RouterCore(fleet), 0, random.Random(1), 0
        for site in fleet.sites:
            self.core.on_endpoint_up(Endpoint(f"{site.name}/0", site.name, "m"), 0)

    def reload(self, fleet):
        self.core.on_fleet(fleet, self.now)

    def ask(self, **fields):
        self.count += 1
        asked = Request(f"r{self.count}", "m", **{"prompt_tokens": 100, **fields})
        return self.core.on_request(asked, self.now, self.rng)

    def end(self, send, end=End.OK, **fields):
        ended = Ended(send.request, send.endpoint, end, **fields)
        return self.core.on_outcome(ended, self.now, self.rng)

    def first(self, send, ttft_ns=NS_PER_S // 10):
        self.core.on_outcome(FirstToken(send.request, send.endpoint, ttft_ns), self.now, self.rng)

    def site(self, name):
        return next((s for s in self.core.snapshot(self.now).sites if s.name == name), None)

    def tenant(self, name):
        return next((t for t in self.core.snapshot(self.now).tenants if t.name == name), None)


def test_what_is_the_same_keeps_what_was_learned():
    """Predictions, sessions, drains, counts and open streams of a site that is in both files."""
    bench, twin = Bench(), Bench()
    for one in (bench, twin):
        for _ in range(30):
            one.now += NS_PER_S
            send = one.ask(session="s")
            one.first(send, ttft_ns=NS_PER_S // 3)
            one.end(send, output_tokens=10, messages=10, duration_ns=NS_PER_S)
        one.core.on_drain("cloud", True, one.now)
        one.open = one.ask(session="s")
    bench.reload(replace(FLEET, tenants=(Tenant("late"),), limits=Limits(queue_max=7)))
    mine, other = (one.core.snapshot(one.now) for one in (bench, twin))
    assert mine.sites == other.sites
    assert (mine.sessions, mine.open_streams) == (1, 1)
    assert bench.ask(session="s") == twin.ask(session="s")
    bench.end(bench.open)
    assert bench.site("home").turns == twin.site("home").turns


def test_a_site_that_is_gone_is_left_and_its_streams_end():
    """It asks for them to move, takes nothing more, and is there until the last one is over."""
    bench = Bench()
    bench.core.on_drain("home", True, 0)
    running = bench.ask()
    assert running.site == "cloud"
    bench.core.on_drain("home", False, 0)
    bench.reload(replace(FLEET, sites=(HOME,)))
    left = bench.site("cloud")
    assert left.leaving
    assert left.open_streams == 1
    assert bench.core.is_draining("cloud/0")
    bench.core.on_endpoint_up(Endpoint("cloud/1", "cloud", "m"), 0)  # a list that was on its way
    bench.core.on_drain("home", True, 0)
    assert isinstance(bench.ask(), Refuse)
    bench.core.on_drain("home", False, 0)
    point = ResumePoint(3, 100, (), repeatable=True)
    moved = bench.end(running, End.MOVED, messages=3, output_tokens=3, resume=point)
    assert isinstance(moved, Send)
    assert moved.site == "home"
    bench.core.on_tick(bench.now)
    assert bench.site("cloud") is None
    bench.end(moved)
    with pytest.raises(KeyError):
        bench.core.on_endpoint_up(Endpoint("cloud/0", "cloud", "m"), 0)


def test_a_site_that_comes_back_has_spent_what_it_had():
    """Else whoever takes it out and puts it in again has a new budget."""
    bench = Bench()
    bench.core.on_drain("home", True, 0)
    send = bench.ask()
    bench.now += 9 * NS_PER_S
    bench.end(send)
    spent = bench.site("cloud").spend_usd
    assert spent == pytest.approx(9.0)
    bench.reload(replace(FLEET, sites=(HOME,)))
    bench.reload(FLEET)
    bench.core.on_endpoint_up(Endpoint("cloud/0", "cloud", "m"), bench.now)
    assert bench.site("cloud").spend_usd == spent
    send = bench.ask()
    bench.now += 2 * NS_PER_S
    bench.end(send)
    assert isinstance(bench.ask(), Refuse)  # of the ten dollars that a budget holds at once


@pytest.mark.parametrize("streams", [0, 1])
def test_a_site_that_comes_back_takes_turns_whatever_was_the_matter_before(streams):
    """Its lease ended, its endpoint was lent: who told that of it has forgotten it meanwhile."""
    bench = Bench()
    bench.core.on_drain("home", True, 0)
    open_there = [bench.ask() for _ in range(streams)]
    bench.core.on_site_lease("cloud", True, bench.now)
    bench.core.on_lend("cloud", ["cloud/0"], bench.now)
    bench.reload(replace(FLEET, sites=(HOME,)))
    bench.core.on_tick(bench.now)
    bench.reload(FLEET)
    bench.core.on_endpoint_up(Endpoint("cloud/0", "cloud", "m"), bench.now)
    assert not bench.site("cloud").draining
    for send in open_there:
        bench.end(send)
    send = bench.ask()
    assert isinstance(send, Send)
    assert send.endpoint == "cloud/0"


def test_another_budget_holds_against_what_was_spent_already():
    """A lower one at once, a higher one by the difference; nothing is given twice."""
    bench = Bench()
    bench.core.on_drain("home", True, 0)
    send = bench.ask()
    bench.now += 11 * NS_PER_S
    bench.end(send)
    assert isinstance(bench.ask(), Refuse)
    for usd, allowed in ((80.0, True), (40.0, False), (20.0, False), (80.0, True)):
        price = replace(CLOUD.price, budget_usd_per_hour=usd)
        bench.reload(replace(FLEET, sites=(HOME, replace(CLOUD, price=price))))
        answer = bench.ask()
        assert isinstance(answer, Send) is allowed
        if allowed:
            bench.end(answer)


def test_until_the_reload_it_cost_what_it_cost():
    """A request that runs through the change of its price is paid for by both."""
    bench = Bench()
    bench.core.on_drain("home", True, 0)
    send = bench.ask()
    bench.now += NS_PER_S
    cheaper = replace(CLOUD, price=Price(metered_usd_per_replica_hour=1_800.0))
    bench.reload(replace(FLEET, sites=(HOME, cheaper)))
    bench.now += NS_PER_S
    bench.end(send)
    assert bench.site("cloud").spend_usd == pytest.approx(1.5)


def test_a_tenants_quota_is_used_as_far_as_it_was():
    """Raised or lowered, taken out and put in again."""
    acme = Tenant("acme", requests_per_minute=40)
    bench = Bench(replace(FLEET, tenants=(acme,)))
    for _ in range(10):
        assert isinstance(bench.ask(tenant="acme"), Send)
    assert bench.ask(tenant="acme").rule is Rule.RATE
    more = replace(acme, requests_per_minute=60)
    bench.reload(replace(FLEET, tenants=(more,)))
    came = sum(isinstance(bench.ask(tenant="acme"), Send) for _ in range(10))
    assert came == 5
    bench.reload(FLEET)
    assert isinstance(bench.ask(tenant="acme"), Send)  # as whoever has no name here
    bench.reload(replace(FLEET, tenants=(more,)))
    assert bench.ask(tenant="acme").rule is Rule.RATE
    assert bench.tenant("acme").admitted == 15


def test_who_waits_goes_on_to_wait_whatever_becomes_of_its_tenant():
    """And is counted once, as the tenant's that its name stands for."""
    fleet = replace(FLEET, sites=(HOME,), tenants=(Tenant("acme", weight=3), Tenant("b")))
    bench = Bench(fleet)
    bench.core.on_load(LoadReport("home/0", "i", 1, running=9, queued_prefill_tokens=40_000), 0)
    answers = [bench.ask(tenant=name) for name in ("acme", "b", "b", "acme", "acme")]
    assert sum(isinstance(answer, Wait) for answer in answers) >= 3
    waiting = sum(one.waiting for one in bench.core.snapshot(0).tenants)
    bench.reload(replace(fleet, tenants=(Tenant("b", weight=9),)))
    assert bench.tenant("acme") is None
    assert sum(one.waiting for one in bench.core.snapshot(0).tenants) == waiting
    bench.reload(fleet)
    for number in range(1, bench.count + 1):
        bench.core.on_withdrawn(f"r{number}", bench.now)
    assert [one.waiting for one in bench.core.snapshot(0).tenants] == [0, 0, 0]


def test_a_request_keeps_the_class_it_came_with():
    """A new one of a class that is gone is refused, also where it is only asked about."""
    bench = Bench()
    running = bench.ask(slo="batch")
    bench.reload(replace(FLEET, slo_classes=(CHAT,)))
    assert bench.ask(slo="batch").rule is Rule.UNKNOWN_SLO
    asked = Request("x", "m", slo="batch")
    assert bench.core.explain(asked, 0, bench.rng).rule is Rule.UNKNOWN_SLO
    point = ResumePoint(3, 100, (), repeatable=True)
    again = bench.end(running, End.FAILED, messages=3, output_tokens=3, resume=point)
    assert isinstance(again, Send)
    assert again.slo == "batch"
    bench.end(again, output_tokens=5, messages=5)
    assert bench.core.snapshot(0).open_streams == 0


def test_the_default_class_may_be_another():
    bench = Bench()
    bench.reload(replace(FLEET, default_slo="batch"))
    assert bench.ask().slo == "batch"


def test_limits_hold_from_the_next_decision_on():
    """Of attempts, of failures in a row, and of sessions that are remembered."""
    bench = Bench()
    for number in range(6):
        bench.end(bench.ask(session=f"s{number}"))
    bench.reload(replace(FLEET, limits=Limits(sessions_max=2, attempts_max=1, breaker_failures=1)))
    assert bench.core.snapshot(0).sessions == 2
    send = bench.ask()
    assert isinstance(bench.end(send, End.FAILED), Refuse)
    assert bench.ask().endpoint != send.endpoint  # one failure is enough now


def test_a_site_may_become_rented():
    """Home first, whichever that is."""
    bench = Bench()
    swapped = (replace(HOME, kind=SiteKind.RENTED), replace(CLOUD, kind=SiteKind.HOME))
    assert bench.ask().site == "home"
    bench.reload(replace(FLEET, sites=swapped))
    assert bench.ask().site == "cloud"


def test_a_fleet_does_not_begin_to_share():
    with pytest.raises(ValueError, match="at a start only"):
        Bench().reload(replace(FLEET, shares=True))


def test_the_same_fleet_again_changes_nothing():
    """Reload as often as you like: decisions are those of a core that never was."""
    bench, twin = Bench(), Bench()
    for number in range(60):
        bench.reload(FLEET)
        for one in (bench, twin):
            one.now += NS_PER_S // 7
        asked = {"session": f"s{number % 5}", "slo": "batch" if number % 3 else ""}
        mine, other = bench.ask(**asked), twin.ask(**asked)
        assert mine == other
        if number % 2:
            for one in (bench, twin):
                one.first(mine, ttft_ns=NS_PER_S // 5)
                one.end(mine, output_tokens=7, messages=7, duration_ns=NS_PER_S)
    assert bench.core.snapshot(bench.now) == twin.core.snapshot(twin.now)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["use", "wait", "resize"]),
        st.floats(0.0, 100.0),
    ),
    max_size=40,
)


@given(STEPS)
def test_no_order_of_changes_gives_more_than_the_largest_budget_would(steps):
    """What has been spent is what flowed in, at most, however the budget went up and down."""
    budget, now, spent, largest = Budget(100.0, NS_PER_HOUR), 0, 0.0, 100.0
    for what, amount in steps:
        if what == "use":
            usd = max(0.0, min(amount, budget.level(now)))
            budget.use(usd, now)
            spent += usd
        elif what == "wait":
            now += int(amount * NS_PER_S)
        else:
            budget.resize(amount, NS_PER_HOUR, now)
            largest = max(largest, amount)
    assert spent <= largest * (0.25 + 0.75 * now / NS_PER_HOUR) + 1e-6


@given(st.integers(1, 10_000), st.integers(1, 10_000), st.integers(0, 500), st.integers(0, 60))
def test_a_quota_that_comes_back_is_used_as_it_was(first, second, used, waited_s):
    """There and back again is no way to more."""
    bound, now = RateBound(first), waited_s * NS_PER_S
    bound.take(used, 0)
    before = bound.wait_ns(now)
    bound.resize(second, now)
    bound.resize(first, now)
    assert bound.wait_ns(now) == pytest.approx(before, abs=NS_PER_S / 1_000)
