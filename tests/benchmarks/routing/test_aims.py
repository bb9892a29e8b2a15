"""The verdict compares with the best rival, and with the cheapest that is as good."""

import pytest

from benchmarks.routing.aims import standing
from benchmarks.routing.bound import BOUND
from benchmarks.routing.compare import Result
from benchmarks.routing.measures import Latency, Summary
from benchmarks.routing.series import Series
from router.sim.rivals.registry import OURS


def result(policy, kept, p95=1.0, usd=10.0):
    latency = Latency(p95 / 2, p95, 2 * p95)
    return Result(
        "week",
        policy,
        Summary(100, 0, kept, latency, latency, 0.0, usd, 0.0, 0.0, 0.0, {}, ""),
        Series(1.0, [], [], [], {}),
        1.0,
    )


def test_every_aim_is_held_by_a_clear_lead():
    """Half the misses, two thirds of the money, and close to the bound."""
    found = standing(
        "week",
        [
            result(BOUND, 1.0, usd=0.0),
            result(OURS, 0.98, usd=6.0),
            result("good", 0.96),
            result("cheap", 0.90, usd=1.0),
        ],
    )
    assert found.rival == "good"
    assert found.misses_ratio == pytest.approx(0.5)
    assert found.usd_ratio == pytest.approx(0.6)
    assert found.missed == []


def test_a_cheaper_rival_that_is_as_good_sets_the_price():
    """Within half a point of attainment, money decides."""
    found = standing("week", [result(OURS, 0.98), result("a", 0.98), result("b", 0.976, usd=5.0)])
    assert found.usd_ratio == pytest.approx(2.0)
    assert found.missed == ["half the misses", "cost"]


def test_where_nobody_misses_there_is_nothing_to_halve():
    """A rival without misses is matched by none."""
    assert standing("steady", [result(OURS, 1.0), result("a", 1.0)]).missed == []
    assert "attainment" in standing("steady", [result(OURS, 0.99), result("a", 1.0)]).missed


def test_without_a_rival_there_is_no_standing():
    """Ours alone, or rivals alone, say nothing."""
    assert standing("week", [result(OURS, 1.0), result(BOUND, 1.0)]) is None
    assert standing("week", [result("a", 1.0)]) is None
