"""The policy that routers run scales a simulated fleet: home first, the metered site by the minute.

Demand rises past all of home and falls again. What the metered site costs is what was needed of it.
"""

import random
from dataclasses import replace
from itertools import pairwise

import pytest

from router.policy.core import RouterCore
from router.policy.fleet import Fleet, Price, Site, SiteKind, SloClass
from router.policy.scale import Autoscaling, Scale
from router.policy.scaling.scaler import Scaler
from router.policy.units import NS_PER_MS, NS_PER_S
from router.sim.autoscaling import Autoscale
from router.sim.plan import Link, Scenario, SimSession, SimTurn
from router.sim.profile import PS_PER_MS
from router.sim.world import World
from tests.router.sim.toy import PROFILE

SLOW = replace(PROFILE, decode_base_ps=720 * PS_PER_MS, seqs_max=4)  # three answers in two seconds
START_NS, BILLING_NS = 10 * NS_PER_S, 60 * NS_PER_S
HOMES, FARS = 2, 2
QUIET_PER_S, BUSY_PER_S = 0.5, 4.0
RISE_S, BUSY_S, TAIL_S = 120, 90, 150
DAY_S = RISE_S + BUSY_S + TAIL_S

FLEET = Fleet(
    (
        Site("home", SiteKind.HOME, scale=Scale(1, HOMES, START_NS, spare_ns=20 * NS_PER_S)),
        Site(
            "far",
            SiteKind.RENTED,
            price=Price(metered_usd_per_replica_hour=4.0),
            scale=Scale(0, FARS, START_NS, BILLING_NS, spare_ns=20 * NS_PER_S),
        ),
    ),
    (SloClass("default", ttft_ns=4 * NS_PER_S, itl_ns=2_400 * NS_PER_MS),),
    "default",
    autoscaling=Autoscaling(level_ns=10 * NS_PER_S, look_ns=NS_PER_S),
)
DRAIN_NS = 3 * NS_PER_S


def rate_per_s(second):
    """A morning, a noon and an afternoon in six minutes."""
    second %= DAY_S
    if second < RISE_S:
        return QUIET_PER_S + (BUSY_PER_S - QUIET_PER_S) * second / RISE_S
    return BUSY_PER_S if second < RISE_S + BUSY_S else QUIET_PER_S


@pytest.fixture(scope="module")
def day():
    """What became of each request, and the replicas that there were, on the second of two days.

    On the first it is learned what a replica does, and some requests find no room until it is.
    """
    rng, sessions, at_s = random.Random(5), [], 0.0
    while at_s < 2 * DAY_S:
        at_s += rng.expovariate(rate_per_s(at_s))
        turn = SimTurn(rng.randint(20, 200), rng.randint(2, 5))
        sessions.append(SimSession(f"s{len(sessions)}", round(at_s * NS_PER_S), (turn,)))
    core, scaler, wants = RouterCore(FLEET), Scaler(FLEET, DRAIN_NS), []

    def decide(seen):
        found = scaler.look(core.scaling.sample(), seen.now, {})
        wants.extend((seen.now, want) for want in found)
        return {want.site: want.wanted for want in found}

    plan = Autoscale(
        decide,
        start_ns={"home": START_NS, "far": START_NS},
        initial={"home": 1, "far": 0},
        billing_ns={"far": BILLING_NS},
    )
    scenario = Scenario({"home": Link(NS_PER_MS), "far": Link(30 * NS_PER_MS)}, 16)
    replicas = [(f"home/{n}", "home", SLOW) for n in range(HOMES)]
    replicas += [(f"far/{n}", "far", SLOW) for n in range(FARS)]
    records = []
    world = World(scenario, replicas, [core], records.append, plan)
    world.run(sessions)
    assert len(records) == len(sessions)
    begun_ns = DAY_S * NS_PER_S
    of_day = [one for one in records if one.sent_ns >= begun_ns]
    lives = [one for one in world.autoscaling.lives if one.gone_ns > begun_ns]
    return of_day, lives, [one for one in wants if one[0] >= begun_ns]


def asked_ns(lives, site):
    """When its replicas were asked for, those that were there at first left out."""
    begun_ns = DAY_S * NS_PER_S
    return sorted(
        one.asked_ns - begun_ns for one in lives if one.site == site and one.asked_ns > begun_ns
    )


def test_no_request_is_refused_or_broken_off_as_sites_grow_and_shrink(day):
    """Through both directions, to a site that comes from nothing and goes to it."""
    records, lives, _ = day
    assert not [one for one in records if one.refused]
    assert {one.site for one in records} == {"home", "far"}
    assert [one for one in lives if one.site == "far"]


def test_home_grows_before_anything_is_rented(day):
    """Whenever more is rented, all of home is there or on its way."""
    _, _, wants = day
    wanted = {}
    for now, want in wants:
        wanted.setdefault(now, {})[want.site] = want.wanted
    looks = [wanted[now] for now in sorted(wanted)]
    more = [after for before, after in pairwise(looks) if after["far"] > before["far"]]
    assert more
    assert all(one["home"] == HOMES for one in more)
    assert any(one["home"] < HOMES for one in looks)


def test_the_metered_site_is_asked_for_ahead_of_the_overflow(day):
    """By more than its time to start before demand is what home cannot do: nobody waits for it."""
    records, lives, _ = day
    begun_ns = asked_ns(lives, "far")[0]
    home_full_ns = DAY_S * NS_PER_S + begun_ns + START_NS
    late = [one for one in records if one.ttft_ns > 4 * NS_PER_S and one.sent_ns < home_full_ns]
    assert not late
    assert begun_ns < RISE_S * NS_PER_S


def test_what_is_rented_is_given_back_as_what_is_paid_for_ends(day):
    """Not in the middle of a minute, and not long after it was needed."""
    _, lives, _ = day
    over_ns = (DAY_S + RISE_S + BUSY_S) * NS_PER_S
    rented = [one for one in lives if one.site == "far"]
    for one in rented:
        left_ns = -(one.gone_ns - one.asked_ns) % BILLING_NS
        assert left_ns <= DRAIN_NS + 3 * NS_PER_S, one
        assert one.gone_ns <= over_ns + 3 * BILLING_NS, one


def test_what_is_said_to_be_paid_is_what_the_replicas_were_billed(day):
    """By the minute that has begun."""
    _, lives, wants = day
    rented = [one for one in lives if one.site == "far"]
    minutes = sum(-(-(one.gone_ns - one.asked_ns) // BILLING_NS) for one in rented)
    paid = [want.paid_usd for _, want in wants if want.site == "far"]
    said = paid[-1] - paid[0]
    assert said == pytest.approx(4.0 * minutes / 60, rel=0.25)
    assert 0 < minutes <= 2 * FARS * (RISE_S + BUSY_S) / 60
