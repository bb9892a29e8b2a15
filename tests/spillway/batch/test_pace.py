"""How many requests of a batch are open at a time."""

from hypothesis import given
from hypothesis import strategies as st

from spillway.batch.pace import Pace


def test_it_opens_more_as_long_as_there_is_room():
    """One more for each round of answers, up to its bound."""
    pace = Pace(16)
    first = pace.limit
    for _ in range(first):
        pace.on_answer(full=True)
    assert pace.limit in {first, first + 1}
    for _ in range(1_000):
        pace.on_answer(full=True)
    assert pace.limit == 16


def test_it_opens_no_more_where_it_has_nothing_to_send():
    """What was never tried may be too much."""
    pace = Pace(16)
    first = pace.limit
    for _ in range(1_000):
        pace.on_answer(full=False)
    assert pace.limit == first


def test_refusals_of_one_moment_count_once():
    """A hundred that were sent together say the same thing."""
    pace = Pace(100)
    for _ in range(10_000):
        pace.on_answer(full=True)
    for _ in range(100):
        pace.on_refusal(sent_s=1.0, now_s=2.0, retry_after_s=0.5)
    assert pace.limit == 70
    assert pace.resume_s == 2.5
    pace.on_refusal(sent_s=2.6, now_s=3.0, retry_after_s=0.1)
    assert pace.limit == 49


@given(st.integers(1, 50), st.lists(st.tuples(st.booleans(), st.floats(0, 1e6), st.floats(0, 60))))
def test_it_stays_between_one_and_its_bound(most, happenings):
    """Whatever happens, and in whatever order."""
    pace = Pace(most)
    for full, at_s, after_s in happenings:
        pace.on_answer(full=full)
        pace.on_refusal(at_s, at_s, after_s)
        assert 1 <= pace.limit <= most
