"""What a replica does, and how busy the fleet may be, are learned at the edge."""

import pytest

from router.policy.fleet import Price, Site, SiteKind
from router.policy.scaling.capacity import Capacities, SiteSample
from router.policy.scaling.headroom import Headroom
from router.policy.scaling.parts import needs, parts_of
from router.policy.units import NS_PER_MS


def sites(*token_ms):
    return tuple(
        SiteSample(f"s{index}", 1, 0.0, 0, ms * NS_PER_MS) for index, ms in enumerate(token_ms)
    )


def test_before_anything_is_seen_a_site_does_most_of_what_it_would_prefill():
    """And one of which nothing is known does as the others do."""
    found = Capacities().per_s(sites(0.1, 0.0))
    assert found["s0"] == found["s1"] == pytest.approx(7_000)


def test_a_site_that_is_gone_past_does_what_it_can():
    """Up and down; one that is not gone past does at least what it does."""
    capacities = Capacities()
    for _ in range(60):
        capacities.add("s0", 3_000.0, 0.5, 7_000.0)
    assert capacities.per_s(sites(0.1))["s0"] == pytest.approx(3_000, rel=0.02)
    for _ in range(60):
        capacities.add("s0", 1_000.0, 0.0, 7_000.0)
    assert capacities.per_s(sites(0.1))["s0"] == pytest.approx(3_000, rel=0.02)
    for _ in range(60):
        capacities.add("s0", 5_000.0, 0.0, 7_000.0)
    assert capacities.per_s(sites(0.1))["s0"] == pytest.approx(5_000, rel=0.02)


def test_one_that_was_never_full_is_like_those_that_were():
    """By how fast each prefills."""
    capacities = Capacities()
    for _ in range(200):
        capacities.add("s0", 4_000.0, 0.5, 7_000.0)
    assert capacities.per_s(sites(0.1, 0.2))["s1"] == pytest.approx(2_000, rel=0.02)


def test_too_many_misses_lower_the_limit_and_good_stretches_raise_it():
    """Not where replicas were missing, nor where there was little to do."""
    headroom = Headroom()
    began = headroom.limit
    headroom.add(0.7, 0.5, 0.5, 0.01, full=False)
    headroom.add(0.1, 0.0, 0.0, 0.01, full=True)
    assert headroom.limit == began
    headroom.add(0.5, 0.05, 0.2, 0.01, full=True)
    assert headroom.limit < began
    assert headroom.is_pressed
    low = headroom.limit
    for _ in range(20):
        headroom.add(0.9 * low, 0.01, 0.0, 0.01, full=True)
    assert low < headroom.limit
    for _ in range(10_000):
        headroom.add(0.9, 0.9, 0.9, 0.01, full=True)
    assert headroom.limit >= 0.4


HOME = Site("home", SiteKind.HOME)
NEAR = Site("near", SiteKind.RENTED, price=Price(2, 30.0))
DEAR = Site("dear", SiteKind.RENTED, price=Price(0, 50.0))
CHEAP = Site("cheap", SiteKind.RENTED, price=Price(0, 40.0))


def test_home_comes_first_then_what_is_committed_then_the_cheapest_work():
    """A site that costs less by the hour and does less still is dear."""
    usable = {"home": 3, "near": 3, "dear": 2, "cheap": 2}
    per_s = {"home": 1_000.0, "near": 900.0, "dear": 1_000.0, "cheap": 500.0}
    parts = parts_of([DEAR, CHEAP, NEAR, HOME], usable, per_s)
    assert [(part.site, part.replicas, part.metered) for part in parts] == [
        *(("home", 3, False), ("dear", 0, False), ("cheap", 0, False), ("near", 2, False)),
        *(("near", 1, True), ("dear", 2, True), ("cheap", 2, True)),
    ]


def test_needs_fill_one_part_after_the_other():
    """What all of them cannot take is left out."""
    usable = {"home": 2, "near": 1, "dear": 1, "cheap": 0}
    per_s = dict.fromkeys(usable, 1_000.0)
    parts = parts_of([HOME, NEAR, DEAR, CHEAP], usable, per_s)
    assert needs(800.0, parts, per_s, 0.8)["home"] == pytest.approx(1.0)
    found = needs(2_000.0, parts, per_s, 0.8)
    assert (found["home"], found["near"], found["dear"]) == pytest.approx((2.0, 0.5, 0.0))
    found = needs(1e9, parts, per_s, 0.8)
    assert found == pytest.approx({"home": 2.0, "near": 1.0, "dear": 1.0, "cheap": 0.0})
