"""Recent quantiles, and attempts followed to them."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.observe.attempts import Attempts
from router.observe.recent_quantiles import RecentQuantiles
from router.observe.site_latency import SiteLatency
from router.policy.units import NS_PER_MS, NS_PER_S
from tests.router.observe.events import history

SECOND = NS_PER_S


@given(st.lists(st.integers(2_000, 10**12), min_size=1), st.sampled_from([0.5, 0.9, 0.99]))
def test_a_quantile_is_within_its_bucket_of_the_true_one(values, share):
    recent = RecentQuantiles(SECOND)
    for value in values:
        recent.add(value, 0)
    rank = max(0, -(-int(share * len(values) * 1_000) // 1_000) - 1)
    ordered = sorted(values)
    near = {ordered[i] for i in (rank - 1, rank, rank + 1) if 0 <= i < len(ordered)}
    got = recent.quantile_ns(share, 0)
    assert any(value / 1.06 <= got <= value * 1.06 for value in near)


def test_what_is_old_is_forgotten():
    """Between one and two windows after it was seen."""
    recent = RecentQuantiles(SECOND)
    recent.add(1_000_000, 0)
    recent.add(9_000_000, SECOND + 1)
    assert recent.quantile_ns(0.01, SECOND + 1) == pytest.approx(1_000_000, rel=0.05)
    assert recent.quantile_ns(0.01, 2 * SECOND + 1) == pytest.approx(9_000_000, rel=0.05)
    assert recent.quantile_ns(0.5, 4 * SECOND) == 0
    recent.add(5_000_000, 10 * SECOND)
    assert recent.quantile_ns(0.01, 10 * SECOND) == pytest.approx(5_000_000, rel=0.05)


def test_reading_does_not_change_what_is_read():
    recent = RecentQuantiles(SECOND)
    recent.add(1_000_000, 0)
    recent.quantile_ns(0.5, 100 * SECOND)
    assert recent.quantile_ns(0.5, 0) > 0


def test_memory_is_bounded():
    """By the number of buckets, whatever the values."""
    recent, rng = RecentQuantiles(SECOND), random.Random(1)
    for _ in range(20_000):
        recent.add(int(10 ** rng.uniform(0, 18)), 0)
    assert len(recent._filling) <= 501


def test_attempts_are_followed_to_their_site():
    """Retries count where they ran; nothing is left open."""
    latency = SiteLatency(("home", "cloud"))
    attempts = Attempts((latency,))
    for event in history():
        attempts.on_event(event)
    assert len(attempts) == 0
    seen = latency.percentiles("home", history()[-1].now_ns)
    assert seen.ttft_ns_p50 == pytest.approx(20 * NS_PER_MS, rel=0.05)
    assert seen.itl_ns_p99 == pytest.approx(10 * NS_PER_MS, rel=0.05)
