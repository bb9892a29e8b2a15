"""A simulated world is whole, reproducible, and drives the router's own core."""

import random

import pytest

from router.policy.core import RouterCore
from router.policy.fleet import Fleet, Site, SiteKind, SloClass
from router.policy.units import NS_PER_MS, NS_PER_S
from router.sim.plan import Link, ReplicaFault, Scenario, SimSession, SimTurn
from router.sim.profile import PS_PER_MS, Profile
from router.sim.rivals.simple import LeastRequests, PowerOfTwo, RoundRobin
from router.sim.world import World

PROFILE = Profile(
    name="test",
    prefill_base_ps=20 * PS_PER_MS,
    prefill_token_ps=PS_PER_MS // 10,
    prefill_pair_ps=1000,
    decode_base_ps=20 * PS_PER_MS,
    decode_seq_ps=PS_PER_MS // 2,
    decode_context_ps=1000,
    kv_blocks=2000,
    seqs_max=16,
)
REPLICAS = [("home/0", "home", PROFILE), ("home/1", "home", PROFILE), ("far/0", "far", PROFILE)]
LINKS = {"home": Link(NS_PER_MS), "far": Link(30 * NS_PER_MS, jitter_ns=5 * NS_PER_MS)}
FLEET = Fleet(
    sites=(Site("home", SiteKind.HOME), Site("far", SiteKind.RENTED)),
    slo_classes=(SloClass("default", ttft_ns=NS_PER_S, itl_ns=100 * NS_PER_MS),),
    default_slo="default",
)


def sessions(count, *, seed=1, rate=6.0):
    rng = random.Random(seed)
    at_ns = 0
    for index in range(count):
        at_ns += round(rng.expovariate(rate) * NS_PER_S)
        turns, prompt = [], 0
        for turn in range(rng.randint(1, 3)):
            prompt += rng.randint(50, 600)
            output = rng.randint(1, 80)
            blocks = tuple(index * 10_000 + block for block in range((prompt + output) // 16))
            turns.append(SimTurn(prompt, output, NS_PER_S if turn else 0, blocks))
            prompt += output
        yield SimSession(f"s{index}", at_ns, tuple(turns))


def run(policies, *, count=200, faults=(), seed=0):
    records = []
    scenario = Scenario(links=LINKS, block_tokens=16, faults=faults, seed=seed)
    world = World(scenario, REPLICAS, policies, records.append)
    world.run(sessions(count))
    return records


@pytest.mark.parametrize(
    "policy", [RoundRobin, LeastRequests, PowerOfTwo, lambda: RouterCore(FLEET)]
)
def test_every_turn_of_every_session_is_answered(policy):
    """Without faults nothing is lost, whatever the policy."""
    records = run([policy()])
    assert len(records) == sum(len(session.turns) for session in sessions(200))
    assert not [record for record in records if record.refused]
    assert all(0 < record.ttft_ns <= record.end_to_end_ns for record in records)


def test_later_turns_find_their_conversation_cached():
    """With one place to go, a turn's cached prefix is the conversation before it."""
    records = []
    world = World(Scenario(LINKS, 16), REPLICAS[:1], [RoundRobin()], records.append)
    world.run(sessions(5))
    later = [record for record in records if record.turn]
    assert later
    assert all(record.cached_tokens > 0 for record in later)


def test_what_arrives_in_one_instant_shares_the_first_step():
    """Also where the way is of no length, so that the first is there before the second begins."""
    records = []
    world = World(Scenario({"home": Link(0)}, 16), REPLICAS[:1], [RoundRobin()], records.append)
    world.run([SimSession(f"s{index}", NS_PER_S, (SimTurn(100, 1),)) for index in range(3)])
    prompts_ps = 3 * (100 * PROFILE.prefill_token_ps + 100**2 * PROFILE.prefill_pair_ps)
    step_ns = (PROFILE.prefill_base_ps + prompts_ps) // 1000
    assert [record.ttft_ns for record in records] == [step_ns] * 3


def test_the_same_seed_gives_the_same_records():
    """To the byte, with two routers, jitter and a fault."""
    fault = (ReplicaFault("home/0", 5 * NS_PER_S, 3 * NS_PER_S),)
    runs = [
        repr(run([RouterCore(FLEET), RouterCore(FLEET)], faults=fault, seed=seed))
        for seed in (7, 7, 8)
    ]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_the_core_stays_home_while_home_is_good_and_counts_nothing_twice():
    """P1, in virtual time; afterwards no stream is open."""
    core = RouterCore(FLEET)
    records = run([core], count=60)
    assert {record.site for record in records} == {"home"}
    assert core.snapshot(0).open_streams == 0


def test_streams_of_a_crashed_replica_end_and_new_ones_go_elsewhere():
    """What had its first token is cut off; the rest is tried elsewhere and answered."""
    fault = (ReplicaFault("home/0", 5 * NS_PER_S, 60 * NS_PER_S),)
    core = RouterCore(FLEET)
    records = run([core], faults=fault)
    cut = [record for record in records if record.refused]
    assert 0 < len(cut) < 20
    late = [r for r in records if 6 * NS_PER_S < r.sent_ns < 60 * NS_PER_S]
    assert late
    assert "home/0" not in {record.endpoint for record in late}
    assert core.snapshot(0).open_streams == 0
