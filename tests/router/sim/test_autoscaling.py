"""Sites of a simulated world that grow and shrink."""

import random

from router.policy.core import RouterCore
from router.policy.units import NS_PER_MS, NS_PER_S
from router.sim.autoscaling import Autoscale
from router.sim.plan import Link, Scenario, SimSession, SimTurn
from router.sim.world import World
from tests.router.sim.toy import FLEET, PROFILE

SCENARIO = Scenario({"home": Link(NS_PER_MS), "far": Link(30 * NS_PER_MS)}, 16)
REPLICAS = [(f"{site}/{index}", site, PROFILE) for site in ("home", "far") for index in range(2)]
START_NS = 5 * NS_PER_S


def run(decide, *, initial, count=120, rate=4, **plan):
    """Sessions of one turn each; the records and the world."""
    rng = random.Random(3)
    sessions = [
        SimSession(f"s{index}", index * NS_PER_S // rate, (SimTurn(200, rng.randint(5, 100)),))
        for index in range(count)
    ]
    records = []
    scale = Autoscale(decide, {"home": START_NS, "far": START_NS}, initial, **plan)
    world = World(SCENARIO, REPLICAS, [RouterCore(FLEET)], records.append, scale)
    world.run(sessions)
    assert len(records) == count
    return records, world.autoscaling


def test_a_replica_serves_once_it_has_started():
    """And none before that."""
    wants = lambda _: {"home": 2}  # noqa: E731
    records, scaling = run(wants, initial={"home": 1})
    second = [one for one in records if one.endpoint == "home/1"]
    assert second
    assert min(one.sent_ns + one.ttft_ns for one in second) > START_NS + NS_PER_S
    assert not [one for one in records if one.site == "far"]
    life = next(one for one in scaling.lives if one.replica == "home/1")
    assert life.asked_ns == NS_PER_S


def test_what_is_given_back_ends_its_answers_and_takes_no_more():
    """Nothing breaks off, and it is paid for until the last of them."""
    wants = lambda seen: {"home": 1 if seen.now >= 10 * NS_PER_S else 2}  # noqa: E731
    records, scaling = run(wants, initial={"home": 2})
    assert not [one for one in records if one.refused]
    (gone,) = [one for one in scaling.lives if one.gone_ns < 25 * NS_PER_S]
    there = [one for one in records if one.endpoint == gone.replica]
    assert there
    # A request that was sent as the report of its draining was under way may still come.
    assert max(one.sent_ns for one in there) <= 11 * NS_PER_S
    last_ns = max(one.sent_ns + one.end_to_end_ns for one in there)
    assert last_ns <= gone.gone_ns <= last_ns + 2 * NS_PER_S


def test_a_site_comes_from_nothing_and_goes_to_nothing():
    """And comes back with a cold cache and no memory of its reports."""
    on = lambda second: second % 20 < 10  # noqa: E731
    wants = lambda seen: {"home": 0 if on(seen.now // NS_PER_S) else 2, "far": 1}  # noqa: E731
    records, scaling = run(wants, initial={"home": 0, "far": 1})
    assert not [one for one in records if one.refused]
    assert {one.site for one in records} == {"home", "far"}
    assert len([one for one in scaling.lives if one.site == "home"]) >= 2


def test_what_is_given_back_before_it_is_there_never_serves():
    """It is paid for until it was given back."""
    wants = lambda seen: {"far": seen.now < 3 * NS_PER_S}  # noqa: E731
    records, scaling = run(wants, initial={"home": 2})
    assert not [one for one in records if one.site == "far"]
    (life,) = [one for one in scaling.lives if one.site == "far"]
    assert (life.asked_ns, life.gone_ns) == (NS_PER_S, 3 * NS_PER_S)


def test_whose_paid_time_ends_first_goes_first():
    """Of two at one site."""
    wants = lambda seen: {"far": 1 + (5 <= seen.now // NS_PER_S < 14)}  # noqa: E731
    _, scaling = run(wants, initial={"home": 2, "far": 1}, billing_ns={"far": 10 * NS_PER_S})
    # far/0 is paid until 20 s, and far/1, asked for at 5 s, until 15 s.
    first = min((one for one in scaling.lives if one.site == "far"), key=lambda one: one.gone_ns)
    assert first.replica == "far/1"


def test_a_world_that_does_not_scale_has_all_its_replicas():
    """As before."""
    records = []
    world = World(SCENARIO, REPLICAS, [RouterCore(FLEET)], records.append)
    world.run([SimSession("s", 0, (SimTurn(10, 5),))])
    assert world.autoscaling is None
    assert len(records) == 1
