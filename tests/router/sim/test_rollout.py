"""A roll-out in virtual time: a bad version is returned after a bounded harm, a good one is not."""

from dataclasses import replace

import pytest

from router.policy.core import RouterCore
from router.policy.fleet import Fleet, Site, SiteKind, SloClass
from router.policy.rollout import Rollout
from router.policy.units import NS_PER_MS, NS_PER_S
from router.sim.plan import Link, Scenario
from router.sim.world import World
from tests.router.sim.test_world import PROFILE, sessions

ROLLOUT = Rollout("chat", "chat-v1", "chat-v2", share=0.2)
FLEET = Fleet(
    sites=(Site("home", SiteKind.HOME),),
    slo_classes=(SloClass("default", ttft_ns=NS_PER_S, itl_ns=100 * NS_PER_MS),),
    default_slo="default",
    rollouts=(ROLLOUT,),
)
OLD = [f"home/{n}" for n in range(4)]
NEW = ["home/new0", "home/new1"]
# The same engine, with steps that take so long that neither objective can be kept.
SLOW = replace(PROFILE, prefill_base_ps=60 * PROFILE.prefill_base_ps)


def _run(*, failing=0.0, profile=PROFILE, seed=0, count=500, rate=6.0):
    """What became of every turn, and how the roll-out stood in the end."""
    core, records = RouterCore(FLEET), []
    scenario = Scenario(
        {"home": Link(NS_PER_MS)},
        16,
        asks="chat",
        models=dict.fromkeys(OLD, "chat-v1") | dict.fromkeys(NEW, "chat-v2"),
        failing=dict.fromkeys(NEW, failing) if failing else {},
        seed=seed,
    )
    replicas = [(name, "home", PROFILE) for name in OLD] + [(name, "home", profile) for name in NEW]
    world = World(scenario, replicas, [core], records.append)
    world.run(sessions(count, seed=seed + 1, rate=rate))
    return records, core.snapshot(world.clock.now).rollouts[0]


def _late(records):
    return sum(not one.refused and one.ttft_ns > NS_PER_S for one in records)


@pytest.mark.parametrize("seed", range(3))
def test_a_version_that_fails_hurts_nobody_for_long(seed):
    """Its failures are answered by the other version, and after a few there are no more."""
    records, state = _run(failing=1.0, seed=seed)
    assert state.returned
    assert sum(one.attempts > 1 for one in records) < 30
    assert not [one for one in records if one.refused]
    assert not [one for one in records if one.endpoint in NEW]


@pytest.mark.parametrize("seed", range(3))
def test_a_version_that_fails_now_and_then_is_returned(seed):
    """A fifth of its answers: enough is known before a hundred have failed."""
    _, state = _run(failing=0.2, seed=seed)
    assert state.returned
    assert state.new.failed < 40


@pytest.mark.parametrize("seed", range(3))
def test_a_version_that_is_late_is_returned_after_a_bounded_number_of_late_answers(seed):
    """All turns that follow are as soon as before it came."""
    records, state = _run(profile=SLOW, seed=seed)
    assert "late first token" in state.returned
    assert 0 < _late(records) < 40
    half = records[len(records) // 2 :]
    assert not _late(half)
    assert not [one for one in half if one.endpoint in NEW]


@pytest.mark.parametrize(("seed", "rate"), [(0, 6.0), (1, 6.0), (2, 40.0), (3, 40.0)])
def test_a_version_that_is_as_good_is_kept(seed, rate):
    """In calm and in a rush that makes both late; and its share of the sessions has it."""
    records, state = _run(seed=seed, rate=rate)
    assert not state.returned
    served = [one for one in records if not one.refused]
    assert 0.1 < sum(one.endpoint in NEW for one in served) / len(served) < 0.3


def test_the_same_seed_gives_the_same_roll_out():
    """To the record: a run that fails is found again by its seed."""
    first, again = (_run(failing=0.3, seed=5, count=100) for _ in range(2))
    assert first == again
