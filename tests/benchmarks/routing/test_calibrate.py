"""A site's capacity is found between a rate that it serves and one that it does not."""

from dataclasses import replace

import pytest

from benchmarks.routing import calibrate
from benchmarks.routing.setup import Setup
from benchmarks.routing.sites import HOME, fleet_of, replicas_of
from router.policy.units import NS_PER_MS, ns
from router.sim.hardware import H100_TP8
from router.sim.plan import Link, Scenario, SimSession, SimTurn
from router.sim.profile import PS_PER_MS

# Each request is a step of 200 ms by itself: five a second at the most.
SLOW = replace(H100_TP8, prefill_base_ps=200 * PS_PER_MS, prefill_token_ps=0, seqs_max=1)


def setup():
    return Setup(
        name="test",
        title="a request every quarter of a second, then none",
        fleet=fleet_of(HOME),
        replicas=replicas_of("home", 1, SLOW),
        world=Scenario({"home": Link(NS_PER_MS)}, SLOW.block_tokens),
        sessions=lambda: (
            SimSession(f"s{index}", ns(index / 4 if index < 240 else index), (SimTurn(100, 1),))
            for index in range(400)
        ),
    )


def test_capacity_lies_below_what_saturates(monkeypatch):
    """At five a second the queue grows without end; at three it hardly does."""
    monkeypatch.setattr(calibrate, "LASTS_S", 60.0)
    assert 2.5 < calibrate.capacity(setup(), "home") < 5.5


def test_the_peak_is_the_busiest_half_minute():
    """Four a second for a minute, one a second after a pause."""
    mean, peak = calibrate.load(setup())
    assert peak == pytest.approx(4.0)
    assert 0.5 < mean < 2.0
