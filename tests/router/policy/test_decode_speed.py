"""The time between tokens as a function of the batch."""

import pytest

from router.policy.decode_speed import DecodeSpeed
from router.policy.units import NS_PER_MS


def test_small_batches_foretell_a_full_one(rng):
    """From gaps seen beside up to four streams, the gap beside sixteen is predicted."""
    speed = DecodeSpeed(20.0 * NS_PER_MS, 0.5 * NS_PER_MS)
    for _ in range(200):
        streams = rng.randrange(5)
        speed.add((8 + 2 * streams) * NS_PER_MS * rng.uniform(0.95, 1.05), streams)
    assert speed.itl_ns(16) == pytest.approx(40 * NS_PER_MS, rel=0.15)


def test_more_streams_never_make_it_faster(rng):
    """Gaps that shrink with the batch are noise, and are not extrapolated."""
    speed = DecodeSpeed(20.0 * NS_PER_MS, 0.5 * NS_PER_MS)
    for _ in range(200):
        streams = rng.randrange(9)
        speed.add((20 - 2 * streams) * NS_PER_MS, streams)
    assert speed.itl_ns(100) >= speed.itl_ns(0) > 0


def test_reports_teach_until_streams_do(rng):
    """Long answers are a minute old before one ends; what ended is worth more than a mean."""
    speed = DecodeSpeed(20.0 * NS_PER_MS, 0.5 * NS_PER_MS)
    for _ in range(200):
        streams = rng.randrange(60)
        speed.hear((30 + 0.3 * streams) * NS_PER_MS, streams)
    assert speed.itl_ns(100) == pytest.approx(60 * NS_PER_MS, rel=0.05)
    for _ in range(8):
        speed.add((30 + 0.3 * 50) * NS_PER_MS, 50)
    before = speed.itl_ns(50)
    for _ in range(200):
        speed.hear(500 * NS_PER_MS, 50)
    assert speed.itl_ns(50) == before


def test_gaps_that_shrink_with_the_batch_for_days_leave_it_where_they_are(rng):
    """Few streams beside long prompts, many beside short ones: the fit takes no leave of them."""
    speed = DecodeSpeed(20.0 * NS_PER_MS, 0.5 * NS_PER_MS)
    for _ in range(20_000):
        streams = rng.choice((1, 2, 3, 4, 6, 10, 15))
        more = rng.expovariate(1 / 40) * (1 if streams < 4 else 0.2)
        speed.add((30 + more) * NS_PER_MS, streams)
        assert 10 * NS_PER_MS < speed.itl_ns(5) < 200 * NS_PER_MS
