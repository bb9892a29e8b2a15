"""P10: a weekly schedule says when how many replicas are away; the core keeps turns off them."""

import random
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.policy.core import RouterCore
from router.policy.decision import Refuse, Send
from router.policy.endpoint import Endpoint
from router.policy.lending import (
    DAYS,
    MINUTES_OF_WEEK,
    Lending,
    LendWindow,
    lent_of,
    minute_of_week,
)
from router.policy.request import Request
from tests.router.policy.toy import MODEL, fleet

NIGHT = LendWindow(2, 22 * 60, 6 * 60, ("mon", "fri"))


def _at(day: int, hour: int, minute: int = 0) -> int:
    """A time in the week of Monday, 6 July 2026."""
    return int(datetime(2026, 7, 6 + day, hour, minute, tzinfo=UTC).timestamp()) * 10**9


@pytest.mark.parametrize(
    ("unix_ns", "kept"),
    [
        (_at(0, 21, 59), 8),
        (_at(0, 22), 6),
        (_at(1, 5, 59), 6),
        (_at(1, 6), 8),
        (_at(1, 23), 8),  # only on the days named
        (_at(5, 3), 6),  # Friday's night is over on Saturday
    ],
)
def test_a_night_belongs_to_the_day_of_its_evening(unix_ns, kept):
    """From its first minute, and not in its last."""
    assert 8 - Lending(8, (NIGHT,)).lent_at(unix_ns) == kept


def test_the_week_begins_on_monday():
    """The wall clock counts from a Thursday."""
    assert minute_of_week(_at(0, 0)) == 0
    assert minute_of_week(_at(6, 23, 59)) == MINUTES_OF_WEEK - 1


WINDOWS = st.builds(
    LendWindow,
    st.integers(1, 3),
    st.integers(0, 1439),
    st.integers(0, 1440),
    st.sets(st.sampled_from(DAYS), min_size=1).map(tuple),
)


@given(st.lists(WINDOWS, max_size=3), st.integers(0, MINUTES_OF_WEEK - 1))
def test_between_two_edges_nothing_changes(windows, minute):
    """So it is enough to look at the edges."""
    lending = Lending(9, tuple(windows))
    before = (minute - 1) % MINUTES_OF_WEEK
    if minute not in lending.edges():
        assert lending.lent(minute) == lending.lent(before)


@given(st.sets(st.text("ab/0", min_size=1)), st.integers(-1, 9))
def test_a_site_keeps_what_it_is_to_keep(names, kept):
    """Whatever is listed: what has been taken away is not taken a second time."""
    lent = lent_of(names, kept)
    assert len(names) - len(lent) == min(len(names), max(0, kept))
    left = names - set(lent)
    assert lent_of(left, kept) == ()


def _place(core: RouterCore, number: int) -> str:
    rng = random.Random(number)
    decision = core.on_request(Request(f"q{number}", MODEL, session=f"s{number}"), number, rng)
    assert isinstance(decision, Send | Refuse)
    return decision.endpoint if isinstance(decision, Send) else ""


def test_a_lent_endpoint_gets_nothing_until_it_is_reclaimed():
    """Whether it is listed before or after, and whether or not it is listed anew."""
    core = RouterCore(fleet())
    core.on_endpoint_up(Endpoint("home-0", "home", MODEL), 0)
    core.on_lend("home", ("home-1",), 0)
    core.on_endpoint_up(Endpoint("home-1", "home", MODEL), 0)
    assert {_place(core, number) for number in range(8)} == {"home-0"}
    assert core.is_draining("home-1")
    assert not core.is_draining("home-0")
    core.on_endpoint_gone("home-1", 0)
    core.on_endpoint_up(Endpoint("home-1", "home", MODEL), 0)
    assert {_place(core, number) for number in range(10, 18)} == {"home-0"}
    core.on_lend("home", (), 0)
    assert "home-1" in {_place(core, number) for number in range(20, 40)}


def test_lending_names_a_site_of_the_fleet():
    """As draining does."""
    with pytest.raises(KeyError):
        RouterCore(fleet()).on_lend("nowhere", (), 0)
