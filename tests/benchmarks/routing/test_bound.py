"""The clairvoyant bound: no policy exceeds it, and it is not far above what can be done."""

import random
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.routing.bound import bound_of
from benchmarks.routing.dual import Demand, served_at_most
from benchmarks.routing.measures import Measures
from benchmarks.routing.setup import Setup
from benchmarks.routing.sites import H100_USD, HOME, fleet_of, rented, replicas_of
from router.policy.core import RouterCore
from router.policy.units import NS_PER_MS, NS_PER_S
from router.sim.hardware import H100_TP8
from router.sim.plan import Link, ReplicaFault, Scenario, SimSession, SimTurn
from router.sim.rivals.simple import LeastRequests
from router.sim.world import World

FLEET = fleet_of(HOME, rented("far", H100_USD, committed=1))


def _setup(per_s: float, *, faults: tuple[ReplicaFault, ...] = ()) -> Setup:
    """Prompts of unlike lengths in front of two replicas."""

    def sessions():
        rng = random.Random(f"{per_s}")
        at_ns = 0
        for index in range(400):
            at_ns += round(rng.expovariate(per_s) * NS_PER_S)
            tokens = rng.choice((300, 1_000, 8_000))
            yield SimSession(f"s{index}", at_ns, (SimTurn(tokens, rng.randint(1, 60)),))

    return Setup(
        name="small",
        title="two replicas",
        fleet=FLEET,
        replicas=(*replicas_of("home", 1, H100_TP8), *replicas_of("far", 1, H100_TP8)),
        world=Scenario(
            links={"home": Link(NS_PER_MS), "far": Link(5 * NS_PER_MS)},
            block_tokens=H100_TP8.block_tokens,
            faults=faults,
        ),
        sessions=sessions,
    )


def _bound(setup: Setup) -> float:
    turns, kept = bound_of(setup, setup.sessions())
    return kept / turns


@pytest.mark.parametrize("make", [RouterCore, lambda _: LeastRequests()])
@pytest.mark.parametrize("per_s", [2.0, 8.0, 20.0])
def test_no_policy_exceeds_it(make, per_s):
    """Below capacity and at several times of it, with a replica that dies for a while."""
    setup = _setup(per_s, faults=(ReplicaFault("far/0", 5 * NS_PER_S, 10 * NS_PER_S),))
    measures = Measures(FLEET)
    World(setup.world, setup.replicas, [make(FLEET)], measures.add).run(setup.sessions())
    assert measures.summary().attainment <= _bound(setup)


def test_it_is_all_below_capacity_and_falls_with_overload():
    """Nothing need be refused at a fifth of the capacity, and much at ten times of it."""
    calm, flood = _bound(_setup(1.0)), _bound(_setup(60.0))
    assert calm == pytest.approx(1.0)
    assert flood < 0.9


def test_a_replica_that_is_dead_does_nothing():
    """With one of two replicas dead all the time less can be kept."""
    whole = _setup(30.0)
    fault = ReplicaFault("far/0", 0, 3_600 * NS_PER_S)
    half = replace(whole, world=replace(whole.world, faults=(fault,)))
    assert _bound(half) < 0.95 * _bound(whole)


def test_the_search_finds_the_optimum_of_a_case_that_is_known():
    """A hundred equal requests in one window with room for thirty: thirty, within a tenth."""
    many = np.full(100, 1.0)
    demand = Demand(0.0 * many, 0.9 * many, 0.9 * many, 0.1 * many[None], 0.0 * many[None])
    capacity = np.zeros((1, 8))
    capacity[0, :4] = 0.75
    assert 30.0 <= served_at_most(demand, capacity) + 1e-9 <= 33.0


def test_the_shortest_are_served_first():
    """Ten requests of a tenth of the work fit beside nothing else."""
    work = np.asarray([0.1] * 10 + [1.0] * 10)
    one = np.ones(20)
    demand = Demand(0.0 * one, 0.9 * one, 0.9 * one, work[None], 0.0 * work[None])
    capacity = np.zeros((1, 8))
    capacity[0, :4] = 0.25
    assert 10.0 <= served_at_most(demand, capacity) + 1e-9 <= 11.5
