"""P13 in virtual time: what is promised at 90 % is kept as often, on loads of several shapes."""

import random

import pytest

from benchmarks.routing.promises import AIM, promises_in
from benchmarks.routing.setup import Setup
from benchmarks.routing.sites import HOME, fleet_of, rented, replicas_of
from router.policy.units import NS_PER_MS, NS_PER_S
from router.sim.hardware import A100_TP8, H100_TP8
from router.sim.plan import Link, Scenario, SimSession, SimTurn

FLEET = fleet_of(HOME, rented("far", 32.0))


def _steady(rng):
    """Arrivals at random, at two thirds of what the replicas can do."""
    while True:
        yield rng.expovariate(6.0)


def _bursts(rng):
    """Twenty at once, and then a while nothing."""
    while True:
        yield rng.expovariate(0.4)
        for _ in range(19):
            yield rng.expovariate(50.0)


def _waves(rng):
    """Quiet and overload in turn, a minute each."""
    at_s = 0.0
    while True:
        gap_s = rng.expovariate(2.0 if int(at_s / 60) % 2 else 12.0)
        at_s += gap_s
        yield gap_s


def _sessions(gaps, seed, count):
    rng = random.Random(seed)
    at_s = 0.0
    for index, gap_s in zip(range(count), gaps(rng), strict=False):
        at_s += gap_s
        prompt = min(16_000, 1 + int(rng.lognormvariate(6.5, 1.0)))
        output = 1 + int(rng.expovariate(1 / 150))
        yield SimSession(f"s{index}", int(at_s * NS_PER_S), (SimTurn(prompt, output),))


@pytest.mark.parametrize("gaps", [_steady, _bursts, _waves])
def test_p13_promises_are_kept_as_often_as_they_say(gaps):
    """Learning included, over unlike replicas at two distances."""
    setup = Setup(
        name=gaps.__name__,
        title="",
        fleet=FLEET,
        replicas=(*replicas_of("home", 2, H100_TP8), *replicas_of("far", 2, A100_TP8)),
        world=Scenario(
            links={
                "home": Link(NS_PER_MS),
                "far": Link(30 * NS_PER_MS, tail_ns=4 * NS_PER_MS),
            },
            block_tokens=H100_TP8.block_tokens,
        ),
        sessions=lambda: _sessions(gaps, 1, 1_500),
    )
    found = promises_in(setup)
    assert found.promises >= 1_400
    assert AIM[0] <= found.kept <= AIM[1]
