"""A schedule of lending befalls the replicas of a world as the routers of a live fleet see it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.policy.lending import (
    DAYS,
    MINUTES_OF_DAY,
    MINUTES_OF_WEEK,
    NS_PER_MINUTE,
    Lending,
    LendWindow,
    lent_of,
)
from router.sim.lending import lends_of
from router.sim.plan import Lend

NAMES = tuple(f"home/{index}" for index in range(5))
HOUR = 60
NIGHTS = Lending(5, (LendWindow(2, 22 * HOUR, 6 * HOUR),))


def _lends(lending, begins_hour, lasts_hours, clock=1.0):
    return list(
        lends_of(
            lending,
            NAMES,
            begins_minute=begins_hour * HOUR,
            lasts_ns=int(lasts_hours * HOUR * NS_PER_MINUTE / clock),
            notice_ns=7,
            clock=clock,
        )
    )


def test_nights_come_every_day_for_the_last_replicas():
    """Three nights of two replicas."""
    hour_ns = HOUR * NS_PER_MINUTE
    found = _lends(NIGHTS, 12, 72)
    assert len(found) == 6
    assert found[0] == Lend("home/3", 10 * hour_ns, 18 * hour_ns, 7)


def test_a_world_may_begin_and_end_in_a_window():
    """What is lent then was taken away before, without notice now."""
    first, second = _lends(NIGHTS, 2, 1)
    assert (first.replica, second.replica) == ("home/3", "home/4")
    assert (first.at_ns, first.until_ns, first.notice_ns) == (0, HOUR * NS_PER_MINUTE, 0)


def test_a_faster_clock_shortens_the_nights():
    """Two minutes of the week in a second."""
    found = _lends(NIGHTS, 12, 24, clock=120.0)
    assert {lend.until_ns - lend.at_ns for lend in found} == {8 * HOUR * NS_PER_MINUTE // 120}


WINDOWS = st.builds(
    LendWindow,
    st.integers(1, 3),
    st.integers(0, MINUTES_OF_DAY - 1),
    st.integers(0, MINUTES_OF_DAY),
    st.sets(st.sampled_from(DAYS), min_size=1).map(tuple),
)


@given(
    st.lists(WINDOWS, max_size=3),
    st.integers(0, 3 * MINUTES_OF_WEEK),
    st.lists(st.integers(0, 2 * MINUTES_OF_WEEK - 1), min_size=1, max_size=20),
)
def test_the_world_lends_what_a_live_router_would(windows, begins_minute, minutes):
    """At any minute of any schedule, the same replicas."""
    lending = Lending(len(NAMES), tuple(windows))
    lends = list(
        lends_of(
            lending,
            NAMES,
            begins_minute=begins_minute,
            lasts_ns=2 * MINUTES_OF_WEEK * NS_PER_MINUTE,
            notice_ns=0,
        )
    )
    for minute in minutes:
        at_ns = minute * NS_PER_MINUTE
        away = {lend.replica for lend in lends if lend.at_ns <= at_ns < lend.until_ns}
        kept = len(NAMES) - lending.lent((begins_minute + minute) % MINUTES_OF_WEEK)
        assert away == set(lent_of(NAMES, kept))


@pytest.mark.parametrize("windows", [(), (LendWindow(1, 0, 60, ("mon",)),)])
def test_a_world_outside_all_windows_lends_nothing(windows):
    """And the search for the next window ends."""
    assert _lends(Lending(5, windows), 30, 5) == []
