"""The quantile of the last while, of values that come several at a time."""

import math

from hypothesis import given
from hypothesis import strategies as st

from serving.recent_quantile import RecentQuantile


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(1, 9)), min_size=1, max_size=60))
def test_it_is_that_of_all_values_one_by_one(seen):
    """The least value that at most a twentieth of all lie above."""
    quantile = RecentQuantile(0.95, 10.0)
    for value, count in seen:
        quantile.add(value, count, 1.0)
    values = sorted(value for value, count in seen for _ in range(count))
    assert quantile.value(1.0) == values[math.ceil(0.95 * len(values) - 1e-9) - 1]


def test_what_is_older_than_the_window_counts_no_more():
    """And nothing is nothing."""
    quantile = RecentQuantile(0.5, 1.0)
    assert quantile.value(0.0) == 0.0
    quantile.add(9.0, 100, 1.0)
    quantile.add(2.0, 1, 2.5)
    assert quantile.value(2.5) == 2.0
    assert quantile.value(3.6) == 0.0


def test_what_is_kept_is_bounded():
    """However many steps an engine makes in a second."""
    quantile = RecentQuantile(0.95, 1.0)
    for _ in range(1_000):
        quantile.add(1.0, 1, 1.0)
    assert len(quantile._kept) == 256
