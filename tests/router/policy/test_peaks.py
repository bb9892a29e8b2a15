"""The highest since a moment, with little kept."""

from hypothesis import given
from hypothesis import strategies as st

from router.policy.peaks import Peaks


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 50)), max_size=100), st.integers(0, 99))
def test_it_is_the_highest_of_all_that_were_seen_since(steps, back):
    """As if all had been kept."""
    peaks, now, seen = Peaks(), 0, []
    for passed, value in steps:
        now += passed
        peaks.add(value, now)
        seen.append((now, value))
    at = now - back
    assert peaks.since(at) == max((value for when, value in seen if when >= at), default=0)


def test_what_is_kept_is_bounded():
    """Values that fall for ever: the oldest go."""
    peaks = Peaks()
    for now in range(1_000):
        peaks.add(10_000 - now, now)
    assert len(peaks._falling) == 256
    assert peaks.since(0) == 10_000 - 744
    assert peaks.since(990) == 10_000 - 990
    assert peaks.since(1_000) == 0
