"""Partitions and lending: what is lost, what is only late, and that all is whole afterwards."""

import random
import statistics

import pytest

from router.policy.core import RouterCore
from router.policy.units import NS_PER_MS, NS_PER_S
from router.sim.clock import Clock
from router.sim.network import Network
from router.sim.plan import Lend, Link, Partition, ReplicaFault, Scenario, SimSession, SimTurn
from router.sim.rivals.simple import RoundRobin
from router.sim.world import World
from tests.router.sim.toy import FLEET, PROFILE

LINKS = {"home": Link(NS_PER_MS), "far": Link(30 * NS_PER_MS, tail_ns=5 * NS_PER_MS)}
REPLICAS = [("home/0", "home", PROFILE), ("home/1", "home", PROFILE), ("far/0", "far", PROFILE)]


def run(policy, *, replicas=REPLICAS, count=150, rate=5, **plan):
    rng = random.Random(3)
    sessions = [
        SimSession(f"s{index}", index * NS_PER_S // rate, (SimTurn(200, rng.randint(5, 100)),))
        for index in range(count)
    ]
    records = []
    World(Scenario(LINKS, 16, **plan), replicas, [policy], records.append).run(sessions)
    assert len(records) == count
    return records


def test_a_short_partition_only_delays():
    """Nobody notices it: what was sent during it is answered, late."""
    silence = Partition("far", 10 * NS_PER_S, 2 * NS_PER_S)
    records = run(RoundRobin(), partitions=(silence,))
    assert not [record for record in records if record.refused]
    held = [r for r in records if r.site == "far" and 10 < r.sent_ns / NS_PER_S < 11]
    assert held
    assert all(record.ttft_ns > NS_PER_S for record in held)


@pytest.mark.parametrize("policy", [RoundRobin, lambda: RouterCore(FLEET)])
def test_a_long_partition_is_noticed_and_left_alone(policy):
    """What had no token yet is tried elsewhere; until it heals, nothing goes there."""
    silence = Partition("far", 10 * NS_PER_S, 10 * NS_PER_S, noticed_after_ns=NS_PER_S)
    records = run(policy(), partitions=(silence,))
    assert all(record.site == "home" for record in records if 11 < record.sent_ns / NS_PER_S < 20)
    assert sum(bool(record.refused) for record in records) < 8


@pytest.mark.parametrize("policy", [RoundRobin, lambda: RouterCore(FLEET)])
def test_a_lent_replica_takes_no_turns_until_it_is_reclaimed(policy):
    """P10, for turns: none fails when the notice is long enough, and it is used afterwards."""
    lend = Lend("home/0", 5 * NS_PER_S, 15 * NS_PER_S, notice_ns=6 * NS_PER_S)
    records = run(policy(), count=210, rate=7, replicas=REPLICAS[:2], lends=(lend,))
    assert not [record for record in records if record.refused]
    used = {int(r.sent_ns / NS_PER_S) for r in records if r.endpoint == "home/0"}
    assert not used & set(range(5, 14))  # what came in the last second may have waited
    assert used & set(range(15, 30))


def test_a_lent_replica_is_cut_off_at_the_deadline():
    """What is not done when the notice is over is lost."""
    lend = Lend("home/0", 5 * NS_PER_S, 15 * NS_PER_S, notice_ns=0)
    records = run(RoundRobin(), replicas=REPLICAS[:2], lends=(lend,))
    assert [record for record in records if record.refused]


def test_bandwidth_and_tail_lengthen_the_way():
    """A megabyte over a megabyte a second takes a second; a tail varies and is never negative."""
    links = {"wide": Link(2 * NS_PER_MS, bytes_per_s=1_000_000), "far": Link(0, tail_ns=NS_PER_MS)}
    network = Network(links, Clock(), random.Random(1))
    assert network.way_ns("wide", 1_000_000) == NS_PER_S + NS_PER_MS
    assert not network.varies("wide")
    ways = [network.way_ns("far") for _ in range(100)]
    assert min(ways) >= 0
    assert len(set(ways)) > 50


def test_a_request_waits_to_be_taken_in_and_a_round_trip_does_not():
    """By so much in the mean; a site without an intake draws nothing for it."""
    links = {"busy": Link(2 * NS_PER_MS, intake_ns=10 * NS_PER_MS), "idle": Link(2 * NS_PER_MS)}
    rng = random.Random(1)
    network = Network(links, Clock(), rng)
    assert network.round_trip_ns("busy") == 2 * NS_PER_MS
    waits = [network.request_ns("busy", 0) - NS_PER_MS for _ in range(2_000)]
    assert min(waits) >= 0
    assert statistics.mean(waits) == pytest.approx(10 * NS_PER_MS, rel=0.1)
    state = rng.getstate()
    assert network.request_ns("idle", 0) == NS_PER_MS
    assert rng.getstate() == state


def test_a_session_goes_on_after_a_turn_that_failed():
    """Every policy is asked for the same turns, also by users whom it failed."""
    lost = ReplicaFault("far/0", 2 * NS_PER_S, 2 * NS_PER_S)
    turns = (SimTurn(200, 100), SimTurn(400, 20, think_ns=5 * NS_PER_S))
    records = []
    world = World(Scenario(LINKS, 16, faults=(lost,)), REPLICAS[2:], [RoundRobin()], records.append)
    world.run([SimSession("s", NS_PER_S, turns)])
    assert [bool(record.refused) for record in records] == [True, False]
    assert records[1].previous == ""
