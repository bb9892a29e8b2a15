"""The highest load under which something holds is found by trying."""

from hypothesis import given
from hypothesis import strategies as st

from spillway.calibration.highest_kept import HighestKept


def searched(limit, first=1.0, halvings=5, most=float("inf")):
    """A search for a limit below which all is kept, and what it tried."""
    search, tried = HighestKept(first, halvings=halvings, most=most), []
    while search.load is not None:
        tried.append(search.load)
        search.tell(kept=search.load <= limit)
    return search.kept, tried


def test_it_doubles_until_it_misses_and_halves_the_gap():
    """As a person would."""
    assert searched(11, halvings=2) == (10, [1, 2, 4, 8, 16, 12, 10])


def test_where_even_the_first_is_missed_it_looks_below():
    """And may find nothing at all."""
    assert searched(0, first=4, halvings=2) == (0, [4, 2, 1])


@given(st.floats(0.1, 1e6), st.integers(0, 12), st.floats(0.1, 1e3))
def test_it_ends_within_the_gap_that_is_left(limit, halvings, first):
    """What it says is kept, and no more is missing than the last gap."""
    kept, tried = searched(limit, first, halvings)
    assert kept <= limit
    missed = [load for load in tried if load > limit]
    start = max(first, 2 * max((load for load in tried if load <= limit), default=0.0))
    assert limit - kept <= start / 2**halvings or min(missed) - kept <= start / 2**halvings


def test_it_tries_nothing_above_the_most_and_stops_there():
    """All slots are taken: more says nothing."""
    assert searched(1_000, most=6) == (6, [1, 2, 4, 6])
