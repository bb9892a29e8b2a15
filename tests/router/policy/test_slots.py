"""The wait for one of an engine's slots."""

from hypothesis import given
from hypothesis import strategies as st

from router.policy.slots import slot_wait_ns


def test_evenly_aged_requests_end_evenly():
    """With four slots held for 400 each, the next is free after 100, the one after it at 200."""
    waits = [slot_wait_ns(place, 4, 400.0, 300.0, 0.0) for place in (1, 2, 3, 4)]
    assert waits == [100.0, 200.0, 300.0, 400.0]


def test_requests_that_started_together_end_together():
    """In a burst the first to wait waits for a whole turn, not for a quarter of it."""
    assert slot_wait_ns(1, 4, 400.0, 0.0, 0.0) == 400.0


def test_a_second_round_waits_for_the_first():
    """Behind as many waiting as there are slots, a second hold begins."""
    assert slot_wait_ns(8, 4, 400.0, 300.0, 0.0) == 800.0


@given(
    st.integers(1, 64),
    st.floats(1, 1e10),
    st.floats(0, 1e10),
    st.floats(0, 1e10),
    st.floats(0.5, 100),
    st.floats(0, 50),
)
def test_a_later_place_never_waits_less(slots, hold, oldest, newer, place, more):
    """The wait is positive and grows with the place in the queue."""
    newest = min(oldest, newer)
    sooner = slot_wait_ns(place, slots, hold, oldest, newest)
    later = slot_wait_ns(place + more, slots, hold, oldest, newest)
    assert 0.0 < sooner <= later * (1 + 1e-9)
