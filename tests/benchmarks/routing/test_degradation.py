"""Ours degrades in steps: with less to go by it still answers everything, only not as well."""

import random
from dataclasses import replace

import pytest

from benchmarks.routing.hampered import Misled, NoHashes, NoLengths, NoSessions
from router.policy.core import RouterCore
from router.policy.fleet import Fleet, Site, SiteKind, SloClass
from router.policy.units import NS_PER_MS, NS_PER_S
from router.sim.plan import Link, Scenario, SimSession, SimTurn
from router.sim.profile import PS_PER_MS, Profile
from router.sim.world import World

PROFILE = Profile(
    name="test",
    prefill_base_ps=20 * PS_PER_MS,
    prefill_token_ps=PS_PER_MS // 5,
    prefill_pair_ps=0,
    decode_base_ps=20 * PS_PER_MS,
    decode_seq_ps=PS_PER_MS,
    decode_context_ps=0,
    kv_blocks=2000,
    seqs_max=8,
    step_tokens_max=256,
)
FLEET = Fleet(
    sites=(Site("home", SiteKind.HOME), Site("far", SiteKind.RENTED)),
    slo_classes=(SloClass("default", ttft_ns=NS_PER_S, itl_ns=200 * NS_PER_MS),),
    default_slo="default",
)
REPLICAS = [
    *((f"home/{index}", "home", PROFILE) for index in range(3)),
    *((f"far/{index}", "far", PROFILE) for index in range(2)),
]
WORLD = Scenario({"home": Link(NS_PER_MS), "far": Link(30 * NS_PER_MS)}, 16)


def _sessions():
    """Chats whose contexts grow, at a rate near what home can serve."""
    rng = random.Random(4)
    at_ns = 0
    for index in range(80):
        at_ns += round(rng.expovariate(1.6) * NS_PER_S)
        turns, tokens = [], 400
        for turn in range(4):
            tokens += rng.randint(50, 250)
            names = tuple(index * 1_000 + block for block in range(tokens // 16))
            turns.append(SimTurn(tokens, 30, 2 * NS_PER_S if turn else 0, names))
            tokens += 30
        yield SimSession(f"s{index}", at_ns, tuple(turns))


def _run(policy, **world):
    """Share of turns in time, and of prompt tokens that were cached."""
    records = []
    World(replace(WORLD, **world), REPLICAS, [policy], records.append).run(_sessions())
    assert len(records) == 320
    kept = sum(not r.refused and r.ttft_ns <= NS_PER_S for r in records) / len(records)
    cached = sum(r.cached_tokens for r in records) / sum(r.prompt_tokens for r in records)
    return kept, cached


@pytest.fixture(scope="module")
def whole():
    """With everything."""
    return _run(RouterCore(FLEET))


def test_with_everything_nearly_all_is_in_time_and_contexts_are_found(whole):
    """What the others are held against."""
    kept, cached = whole
    assert kept > 0.97
    assert cached > 0.55


@pytest.mark.parametrize(
    ("make", "world", "lost"),
    [
        (RouterCore, {"report_interval_ns": None}, 0.03),
        (RouterCore, {"report_delay_ns": 10 * NS_PER_S}, 0.03),
        (NoHashes, {}, 0.03),  # sessions still lead to their caches
        (NoLengths, {}, 0.03),
        (lambda fleet: Misled(fleet, 4.0), {}, 0.03),
        (lambda fleet: Misled(fleet, 0.25), {}, 0.03),
    ],
    ids=["no reports", "late reports", "no hashes", "no lengths", "too long", "too short"],
)
def test_less_to_go_by_costs_no_more_than_a_few_turns_in_a_hundred(whole, make, world, lost):
    """Each by itself."""
    kept, _ = _run(make(FLEET), **world)
    assert kept > whole[0] - lost


def test_sessions_alone_or_hashes_alone_find_most_caches(whole):
    """With neither, hits are those of chance."""
    hashes_only = _run(NoSessions(FLEET))[1]
    sessions_only = _run(NoHashes(FLEET))[1]
    assert min(hashes_only, sessions_only) > 0.8 * whole[1]
