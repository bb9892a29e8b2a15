"""Sites that come late and sites whose lease ends, in virtual time."""

from dataclasses import replace

from router.policy.core import RouterCore
from router.policy.fleet import Fleet, Price, Site, SiteKind, SloClass
from router.policy.units import NS_PER_MS, NS_PER_S
from router.sim.plan import Link, Scenario, SimSession, SimTurn, SiteArrival, SiteLease
from router.sim.world import World
from tests.router.sim.test_disruptions import PROFILE

FLEET = Fleet(
    (
        Site("home", SiteKind.HOME),
        Site("rented", SiteKind.RENTED, price=Price(committed_replicas=2)),
    ),
    (SloClass("chat", ttft_ns=NS_PER_S, itl_ns=200 * NS_PER_MS),),
    "chat",
)
SMALL = replace(PROFILE, seqs_max=4)
LINKS = {"home": Link(rtt_ns=NS_PER_MS), "rented": Link(rtt_ns=2 * NS_PER_MS)}
REPLICAS = [
    ("home-0", "home", SMALL),
    ("rented-0", "rented", SMALL),
    ("rented-1", "rented", SMALL),
]
HOME_RATE = 3.0  # turns a second that home serves in time


def sessions(count, per_s):
    turn = SimTurn(prompt_tokens=300, output_tokens=50)
    return [SimSession(f"s{n}", round(n * NS_PER_S / per_s), (turn,)) for n in range(count)]


def run(scenario, rate):
    records = []
    core = RouterCore(FLEET)
    World(scenario, REPLICAS, [core], records.append).run(sessions(400, rate))
    return core, records


def test_a_site_that_comes_late_is_warmed_up_by_the_core_that_runs_live():
    """Few of the first turns after it came, and its part of the last."""
    came_ns = 30 * NS_PER_S
    core, records = run(
        Scenario(LINKS, 16, arrivals=(SiteArrival("rented", came_ns),)), 1.6 * HOME_RATE
    )
    assert all(one.site != "rented" for one in records if one.sent_ns < came_ns)
    after = sorted((one for one in records if one.sent_ns >= came_ns), key=lambda one: one.sent_ns)
    assert sum(one.site == "rented" for one in after[:20]) <= 5
    assert sum(one.site == "rented" for one in after[-40:]) >= 5
    assert core.snapshot(0).sites[1].warming_share == 1.0


def test_a_site_whose_lease_ends_has_nothing_left_when_it_goes():
    """No stream is broken, nothing is sent there from its drain on, and home alone is too small."""
    until_ns, notice_ns = 60 * NS_PER_S, 30 * NS_PER_S
    scenario = Scenario(LINKS, 16, leases=(SiteLease("rented", until_ns, notice_ns),))
    _, records = run(scenario, 1.6 * HOME_RATE)
    assert len(records) == 400
    sent = [one.sent_ns for one in records if one.site == "rented"]
    assert sent
    assert max(sent) < until_ns - notice_ns
    refused = [one for one in records if one.refused]
    assert min(one.sent_ns for one in refused) >= until_ns - notice_ns
    assert all(one.attempts == 1 for one in records if not one.refused)
