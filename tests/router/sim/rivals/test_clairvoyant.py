"""The bound: capacity pools, distance goes, and the shortest work is served first."""

from dataclasses import replace

import pytest

from router.policy.units import NS_PER_MS, NS_PER_S
from router.sim.plan import Link, ReplicaFault, Scenario, SimSession, SimTurn
from router.sim.profile import PS_PER_MS, Profile
from router.sim.rivals.clairvoyant import pooled, shortest_first, undisturbed
from router.sim.rivals.simple import LeastRequests, RoundRobin
from router.sim.world import World

SLOW = Profile("slow", 20 * PS_PER_MS, 300_000_000, 3000, 30 * PS_PER_MS, 600_000, 3000)
FAST = replace(SLOW, prefill_base_ps=10 * PS_PER_MS, prefill_token_ps=150_000_000)


def test_speeds_add_up_and_fixed_parts_do_not():
    """A token on both takes a third of the slow one's time; no step is shorter than the fast's."""
    pool = pooled([SLOW, FAST])
    assert pool.prefill_token_ps == 100_000_000
    assert pool.prefill_base_ps == 10 * PS_PER_MS
    assert pool.decode_seq_ps == 300_000
    assert pool.step_tokens_max == 2 * SLOW.step_tokens_max


def test_priority_is_what_nobody_before_had():
    """The second prompt shares two of its three blocks with the first."""
    sessions = [
        SimSession("a", 0, (SimTurn(48, 1, blocks=(1, 2, 3)),)),
        SimSession("b", 1, (SimTurn(50, 1, blocks=(1, 2, 7)),)),
    ]
    assert [s.turns[0].priority for s in shortest_first(sessions, 16)] == [48, 18]


@pytest.mark.parametrize("policy", [RoundRobin, LeastRequests])
def test_no_policy_does_better(policy):
    """Two replicas near capacity: the pool's mean TTFT is the lowest."""
    replicas = [("home/0", "home", SLOW), ("far/0", "far", FAST)]
    scenario = Scenario(
        links={"home": Link(NS_PER_MS), "far": Link(30 * NS_PER_MS)},
        block_tokens=16,
        faults=(ReplicaFault("far/0", 5 * NS_PER_S, NS_PER_S),),
    )
    load = [SimSession(f"s{i}", i * 150 * NS_PER_MS, (SimTurn(900, 20),)) for i in range(100)]

    def mean_ttft_ns(world, replicas, sessions):
        records = []
        World(world, replicas, [policy()], records.append).run(sessions)
        answered = [record.ttft_ns for record in records if not record.refused]
        return sum(answered) / len(answered)

    pool = [("home/all", "home", pooled([SLOW, FAST]))]
    bound = mean_ttft_ns(undisturbed(scenario, "home"), pool, shortest_first(load, 16))
    assert bound < mean_ttft_ns(scenario, replicas, load)
