"""Requests that clients take to endpoints themselves: whom the core believes, and how long."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.policy.core import RouterCore
from router.policy.decision import Send
from router.policy.endpoint import Endpoint
from router.policy.fleet import Fleet, Limits, Price, Site, SiteKind, SloClass, Tenant
from router.policy.lease import ClaimKind, LeaseAccount, LeaseClaim, Stage
from router.policy.load import LoadReport
from router.policy.outcome import End
from router.policy.request import Request
from router.policy.units import NS_PER_MS, NS_PER_S

S = NS_PER_S
PRICE = Price(metered_usd_per_replica_hour=3600.0, egress_usd_per_gib=1.0)
NEW, BROKE = ClaimKind.NEVER_BEGAN, ClaimKind.BROKE_OFF


class World:
    """A core over one endpoint at a metered site, driven by hand."""

    def __init__(self, **limits):
        fleet = Fleet(
            sites=(Site("cloud", SiteKind.RENTED, price=PRICE),),
            slo_classes=(SloClass("chat", 5 * S, S),),
            default_slo="chat",
            limits=Limits(**limits),
            tenants=(Tenant("us", tokens_per_minute=1_000_000),),
        )
        self.core = RouterCore(fleet)
        self.now = S
        self.rng = random.Random(1)
        self.sequence = 0
        self.core.on_endpoint_up(Endpoint("cloud/a", "cloud", "m"), self.now)
        self.core.on_connection("cloud/a", True, self.now)
        self.report()

    def place(self, name, prompt_tokens=100, **fields):
        request = Request(
            name, "m", "", "", "us", 0, prompt_tokens, max_new_tokens=50, direct=True, **fields
        )
        decision = self.core.on_request(request, self.now, self.rng)
        assert isinstance(decision, Send)
        return decision

    def report(self, *accounts, instance="one", endpoint="cloud/a"):
        self.sequence += 1
        report = LoadReport(endpoint, instance, self.sequence, running_max=64, accounts=accounts)
        self.core.on_load(report, self.now)

    def claim(self, name, kind, messages=0, output_tokens=0):
        self.core.on_claim(LeaseClaim(name, kind, messages, output_tokens), self.now)

    def wait(self, seconds):
        for _ in range(round(seconds)):
            self.now += S
            self.core.on_tick(self.now)

    @property
    def tracked(self):
        return self.core._registry.by_name["cloud/a"]

    @property
    def in_flight(self):
        return self.tracked.in_flight

    @property
    def leases(self):
        return self.core.snapshot(self.now).leases

    @property
    def site(self):
        return self.core.snapshot(self.now).sites[0]


def account(name, stage, use=1, end=End.OK, tokens=40, ttft=50, decode=780, **fields):
    """What an endpoint tells; times in milliseconds."""
    times = {"ttft_ns": ttft * NS_PER_MS if stage >= Stage.FIRST_TOKEN else 0}
    if stage is Stage.ENDED:
        times["decode_ns"] = decode * NS_PER_MS
        fields |= {"end": end, "output_tokens": tokens, "messages": tokens, "egress_bytes": 4000}
    return LeaseAccount(name, use, stage, **(times | fields))


def test_a_lease_is_in_flight_until_the_endpoint_tells_its_end():
    """And what it tells is learned from, charged and counted like any attempt's."""
    world = World()
    world.place("q")
    assert world.in_flight == 1
    world.report(account("q", Stage.STARTED))
    world.now += 50 * NS_PER_MS
    world.report(account("q", Stage.FIRST_TOKEN))
    assert world.tracked.ttft.count == 1
    world.now += S
    world.report(account("q", Stage.ENDED))
    assert (world.in_flight, world.leases.open, world.tracked.decode.count) == (0, 0, 1)
    assert world.site.output_tokens == 40
    assert world.site.spend_usd > 0.8


def test_an_account_that_comes_again_changes_nothing():
    """Neither a duplicate nor an older one that was overtaken."""
    world = World()
    world.place("q")
    ended = account("q", Stage.ENDED)
    world.report(ended)
    world.report(ended, account("q", Stage.STARTED))
    assert (world.in_flight, world.site.output_tokens, world.leases.used_again) == (0, 40, 0)


def test_a_lease_that_nobody_uses_lapses_and_teaches_nothing():
    """While it waits it promises nothing that could be broken, and has no effect afterwards."""
    world = World()
    before = world.tracked.ttft.count, world.tracked.decode.count
    world.place("q")
    world.now += 4 * S
    assert world.tracked.overdue_ns(world.now) == 0
    world.wait(5)
    assert (world.in_flight, world.leases.lapsed) == (0, 1)
    assert (world.tracked.ttft.count, world.tracked.decode.count) == before
    assert world.tracked.tokens_ahead == 0
    assert world.tracked.is_clear


def test_a_lease_is_no_probe_of_an_endpoint_that_may_be_back():
    """Its client may never come, and the endpoint would stay away for as long."""
    world = World()
    world.core.on_connection("cloud/a", False, world.now)
    world.core.on_connection("cloud/a", True, world.now)
    world.report()
    world.place("q")
    assert world.tracked.breaker.allows(world.now)


def test_a_client_gives_back_what_it_could_not_use():
    """At once, and nothing is held against the endpoint."""
    world = World()
    world.place("q")
    world.claim("q", NEW)
    assert (world.in_flight, world.leases.lapsed, world.site.failures) == (0, 0, 0)


def test_a_client_that_gives_back_and_uses_is_charged_all_the_same():
    """The endpoint tells; the use is in flight again and on the tenant's account."""
    world = World()
    world.place("q")
    world.claim("q", NEW)
    world.report(account("q", Stage.STARTED))
    assert world.in_flight == 1
    world.report(account("q", Stage.ENDED))
    assert (world.in_flight, world.site.output_tokens, world.leases.used_again) == (0, 40, 1)


def test_each_replay_is_a_flight_of_its_own():
    """What a tenant's leases make is all its own, however often they are shown."""
    world = World()
    world.place("q")
    world.report(account("q", Stage.ENDED))
    work = world.core.snapshot(world.now).tenants
    for use in (2, 3):
        world.report(account("q", Stage.STARTED, use=use))
        assert world.in_flight == 1
        world.report(account("q", Stage.ENDED, use=use))
        assert world.in_flight == 0
    assert (world.site.output_tokens, world.leases.used_again) == (120, 2)
    charged = {one.name: one.work_tokens for one in world.core.snapshot(world.now).tenants}
    before = {one.name: one.work_tokens for one in work}
    assert charged["us"] - before["us"] == 2 * 2 * 40


@pytest.mark.parametrize("kind", ClaimKind)
def test_a_lie_of_a_client_changes_nothing_of_a_stream_that_goes_on(kind):
    """Whatever it says, the endpoint is asked, and is as good as before."""
    world = World()
    world.place("q")
    world.report(account("q", Stage.STARTED))
    world.claim("q", kind, 10_000, 10_000_000)
    assert (world.in_flight, world.site.failures, world.site.output_tokens) == (1, 0, 0)
    assert world.tracked.is_clear
    world.report(account("q", Stage.ENDED))
    assert (world.in_flight, world.site.output_tokens) == (0, 40)
    assert world.leases.disputed == (kind is ClaimKind.COMPLETE)


@pytest.mark.parametrize("kind", [ClaimKind.COMPLETE, ClaimKind.CANCELLED, BROKE])
def test_what_its_client_calls_over_holds_no_place_for_long(kind):
    """The endpoint may have frozen reports; it is not held against it, nor learned from."""
    world = World()
    world.place("q")
    world.report(account("q", Stage.STARTED))
    world.claim("q", kind)
    world.wait(2)
    assert world.in_flight == 1
    world.wait(2)
    assert (world.in_flight, world.site.failures) == (0, 0)
    world.report(account("q", Stage.ENDED))
    assert (world.in_flight, world.site.output_tokens) == (0, 40)


def test_a_break_is_believed_where_the_router_has_lost_the_endpoint_too():
    """In either order: the client may be quicker than the router's own connection."""
    for lost_first in (False, True):
        world = World()
        world.place("q")
        world.report(account("q", Stage.FIRST_TOKEN))
        if lost_first:
            world.core.on_connection("cloud/a", False, world.now)
            world.claim("q", BROKE, 7)
        else:
            world.claim("q", BROKE, 7)
            assert world.in_flight == 1
            world.core.on_connection("cloud/a", False, world.now)
        assert (world.in_flight, world.site.failures) == (0, 1)


def test_a_lost_connection_alone_ends_nothing():
    """The client has its own, and may well go on."""
    world = World()
    world.place("q")
    world.report(account("q", Stage.FIRST_TOKEN))
    world.core.on_connection("cloud/a", False, world.now)
    world.wait(5)
    world.core.on_connection("cloud/a", True, world.now)
    world.report(account("q", Stage.ENDED))
    assert (world.in_flight, world.site.output_tokens, world.site.failures) == (0, 40, 0)


def test_what_ran_at_an_instance_dies_with_it():
    """A new one answers in its place; what had begun there has failed, the rest never was."""
    world = World()
    world.place("begun")
    world.place("unused")
    world.report(account("begun", Stage.STARTED))
    world.report(instance="two")
    assert (world.in_flight, world.site.failures) == (0, 1)


def test_what_is_away_for_long_is_given_up():
    """Half a minute without a connection, and nobody to ask."""
    world = World()
    world.place("q")
    world.report(account("q", Stage.STARTED))
    world.core.on_connection("cloud/a", False, world.now)
    world.wait(31)
    assert world.in_flight == 0


def test_an_endpoint_that_is_listed_no_more_keeps_nothing():
    """Nobody would tell the end."""
    world = World()
    world.place("q")
    world.report(account("q", Stage.STARTED))
    world.core.on_endpoint_gone("cloud/a", world.now)
    assert "cloud/a" not in world.core._registry.by_name


def test_an_end_that_nobody_tells_comes_with_the_deadline():
    """It says nothing of the endpoint."""
    world = World()
    world.place("q", deadline_ns=world.now + 20 * S)
    world.report(account("q", Stage.STARTED))
    world.wait(15)
    assert world.in_flight == 1
    world.wait(10)
    assert (world.in_flight, world.leases.aged_out, world.site.failures) == (0, 1, 0)


def test_an_endpoint_speaks_for_its_own_leases_only():
    """Another's are not its to end."""
    world = World()
    world.place("q")
    world.core.on_endpoint_up(Endpoint("cloud/b", "cloud", "m"), world.now)
    world.report(account("q", Stage.ENDED), account("unknown", Stage.ENDED), endpoint="cloud/b")
    assert world.in_flight == 1


def test_a_slow_reader_teaches_nothing_of_the_gaps():
    """The endpoint leaves the time out that its client took."""
    world = World()
    world.place("q")
    world.report(account("q", Stage.ENDED, decode=0))
    assert (world.tracked.ttft.count, world.tracked.decode.count) == (1, 0)


def test_who_does_not_use_its_leases_is_sent_through_the_router():
    """Until some time has passed; others are not concerned."""
    world = World()
    request = Request("x", "m", tenant="us")
    for count in range(40):
        world.place(f"q{count}", prompt_tokens=1)
    assert world.core.leases.refusal(request.tenant) == ""
    world.wait(9)
    assert "not been used" in world.core.leases.refusal(request.tenant)
    assert world.core.leases.refusal("them") == ""
    world.wait(60)
    assert world.core.leases.refusal(request.tenant) == ""


def test_leases_are_forgotten_a_minute_after_their_end():
    """Until then an account that comes again is known for what it is."""
    world = World()
    for count in range(20):
        world.place(f"q{count}")
        world.report(account(f"q{count}", Stage.ENDED), account(f"q{count}", Stage.STARTED, use=2))
    world.wait(1_000)
    leases = world.core.leases
    assert not [*leases._placed, *leases._uses, *leases._due, *leases._open["cloud/a"]]
    assert sum(leases._unused.values()) == 0


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("place"), st.integers(0, 5)),
        st.tuples(
            st.just("account"),
            st.integers(0, 5),
            st.sampled_from(Stage),
            st.integers(1, 3),
            st.sampled_from(End),
            st.integers(0, 100),
        ),
        st.tuples(st.just("claim"), st.integers(0, 5), st.sampled_from(ClaimKind)),
        st.tuples(st.just("connection"), st.booleans()),
        st.tuples(st.just("instance"), st.integers(0, 3)),
        st.tuples(st.just("wait"), st.integers(0, 12)),
    ),
    max_size=40,
)


@settings(deadline=None, max_examples=150)
@given(EVENTS)
def test_whatever_anybody_says_in_whatever_order_all_counts_return_to_zero(events):
    """Two liars, an endpoint and a client, cannot leave a count, a price or a promise behind."""
    world, placed, instance = World(), set(), "one"
    for kind, *what in events:
        name = f"q{what[0]}"
        if kind == "place" and name not in placed and world.tracked.connected:
            request = Request(name, "m", tenant="us", prompt_tokens=9, direct=True)
            world.core.on_request(request, world.now, world.rng)
            placed.add(name)
        elif kind == "account":
            _, stage, use, end, tokens = what
            world.report(account(name, stage, use, end, tokens), instance=instance)
        elif kind == "claim":
            world.claim(name, what[1], 3, 3)
        elif kind == "connection":
            world.core.on_connection("cloud/a", what[0], world.now)
        elif kind == "instance":
            instance = f"i{what[0]}"
            world.report(instance=instance)
        elif kind == "wait":
            world.wait(what[0])
        assert world.in_flight >= 0
    world.core.on_connection("cloud/a", True, world.now)
    world.wait(200)
    assert (world.in_flight, world.leases.open) == (0, 0)
    tracked = world.tracked
    assert not [*tracked.pending, *tracked.running, *tracked.reserved]
    assert world.tracked.tokens_ahead == pytest.approx(0.0)
    assert world.site.open_streams == 0
    assert world.tracked.site.spend._busy == 0
