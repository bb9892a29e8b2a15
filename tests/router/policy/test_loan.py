"""Loans by hand add to the schedule's windows, and what is taken back stays back for the night."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.policy.lending import MINUTES_OF_WEEK, NS_PER_MINUTE, Lending, LendWindow
from router.policy.loan import (
    LOAN_MAX_NS,
    NOTHING,
    Away,
    Loan,
    LoanError,
    Recall,
    SiteLoans,
    away_at,
    chosen,
    current,
    lend,
    reclaim,
)
from tests.router.policy.test_lending import WINDOWS

HOUR_NS = 60 * NS_PER_MINUTE
NIGHT = Lending(4, (LendWindow(2, 22 * 60, 6 * 60),))


def at(day: int, hour: int) -> int:
    """A time in the week of Monday, 6 July 2026."""
    return int(datetime(2026, 7, 6 + day, hour, tzinfo=UTC).timestamp()) * 10**9


NOON, LATE = at(0, 12), at(1, 3)


def loan(replicas=1, since=NOON, until=LATE, of=4, **more):
    return Loan(replicas, of, since, until, **more)


def test_a_loan_and_an_open_window_add_up():
    """Each until its own end, and never more than the site has."""
    loans = lend(NOTHING, loan(), ())
    assert away_at(NIGHT, loans, at(0, 21)) == Away(1, at(1, 3))
    assert away_at(NIGHT, loans, at(0, 23)) == Away(1, at(1, 3), 2, at(1, 6))
    assert away_at(NIGHT, loans, at(0, 23)).until_unix_ns == at(1, 3)
    assert away_at(NIGHT, loans, at(1, 3)) == Away(0, 0, 2, at(1, 6))
    assert away_at(NIGHT, loans, at(1, 6)) == Away()
    assert away_at(NIGHT, lend(NOTHING, loan(4), ()), at(0, 23)).replicas == 4
    assert away_at(None, lend(NOTHING, loan(of=1), ()), at(0, 23)) == Away(1, at(1, 3))


def test_lending_the_same_again_changes_nothing():
    """Nor does a later hour move what has gone: the loan only ends at another time."""
    first = lend(NOTHING, loan(), ("b", "a"))
    assert lend(first, loan(since=at(0, 13)), ("a", "b")) == first
    longer = lend(first, loan(2, since=at(0, 13), until=at(1, 5)), ("c", "a"))
    assert longer == SiteLoans(loan(2, until=at(1, 5)), None, ("b", "a", "c"), at(0, 13))


def test_who_went_first_for_a_loan_that_is_over_does_not_for_the_next_one():
    """Nor are the names kept of replicas that no longer are."""
    over = current(lend(NOTHING, loan(), ("b", "a")), LATE)
    assert over.is_empty
    assert lend(over, loan(since=LATE, until=at(1, 9)), ("c",)).first == ("c",)


def test_what_is_said_later_is_later_whatever_a_clock_says():
    """Routers on two machines keep the word that was said last, though their clocks differ."""
    ahead = lend(NOTHING, loan(since=at(0, 14)), ())
    assert reclaim(None, ahead, None, at(0, 14)).said_unix_ns == at(0, 14) + 1
    assert lend(ahead, loan(2, since=at(0, 12)), ()).said_unix_ns == at(0, 14) + 1


@pytest.mark.parametrize(
    ("bad", "field", "says"),
    [
        (loan(0), "replicas", "at least one"),
        (loan(5), "replicas", "it has 4 replicas, and cannot lend 5"),
        (loan(2, of=1), "replicas", "it has 1 replica, and"),
        (loan(until=at(0, 12)), "until", "is in the past"),
        (loan(until=at(0, 12) + LOAN_MAX_NS + 1), "until", "at most 14 days"),
        (loan(reason="x" * 201), "reason", "at most 200"),
        (loan(reason="a\nb"), "reason", "one line"),
    ],
)
def test_what_cannot_be_lent_is_refused_by_its_field(bad, field, says):
    """In a sentence, and nothing has changed."""
    with pytest.raises(LoanError, match=says) as refused:
        lend(NOTHING, bad, ())
    assert refused.value.field == field


def test_taking_back_begins_with_the_loan():
    """And ends it where nothing of it is left."""
    loans = lend(NOTHING, loan(2), ())
    assert reclaim(NIGHT, loans, 1, at(0, 23)).loan == loan(1)
    assert reclaim(NIGHT, loans, 2, at(0, 23)).is_empty
    three = reclaim(NIGHT, loans, 3, at(0, 23))
    assert (three.loan, three.recall) == (None, Recall(1, at(1, 6)))
    assert away_at(NIGHT, three, at(0, 23)).replicas == 1
    one_more = reclaim(NIGHT, three, None, at(1, 0))
    assert away_at(NIGHT, one_more, at(1, 1)).replicas == 0


def test_what_is_taken_back_of_a_schedule_is_lent_the_next_night():
    """It stays while the schedule lends anything, and no longer."""
    loans = reclaim(NIGHT, NOTHING, None, at(0, 23))
    assert away_at(NIGHT, loans, at(1, 5)) == Away()
    assert current(loans, at(1, 6)).is_empty
    assert away_at(NIGHT, current(loans, at(1, 6)), at(1, 22)).replicas == 2


def test_taking_back_everything_can_be_said_twice():
    """And more than is lent cannot be taken back."""
    assert reclaim(NIGHT, NOTHING, None, at(0, 12)) == NOTHING
    with pytest.raises(LoanError, match="it lends nothing, and 1 cannot"):
        reclaim(NIGHT, NOTHING, 1, at(0, 12))
    with pytest.raises(LoanError, match="it lends 2 of its replicas, and 3 cannot"):
        reclaim(NIGHT, NOTHING, 3, at(0, 23))
    with pytest.raises(LoanError, match="at least one"):
        reclaim(NIGHT, NOTHING, 0, at(0, 23))


def test_a_schedule_that_always_lends_gives_back_for_a_week():
    """There is no night to wait for."""
    always = Lending(4, (LendWindow(2, 0, 24 * 60),))
    week_ns = MINUTES_OF_WEEK * NS_PER_MINUTE
    assert reclaim(always, NOTHING, None, at(0, 5)).recall == Recall(2, at(0, 5) + week_ns)


LOANS = st.builds(
    loan,
    st.integers(1, 9),
    st.integers(at(0, 0), at(0, 12)),
    st.integers(at(0, 13), at(2, 0)),
    st.just(9),
)


@given(
    st.lists(WINDOWS, max_size=3),
    st.none() | LOANS,
    st.integers(at(0, 0), at(6, 0)),
    st.integers(1, 30),
)
def test_what_is_taken_back_is_back(windows, given_away, now, replicas):
    """Of any schedule and any loan, at any time: exactly so many."""
    lending = Lending(9, tuple(windows))
    loans = current(SiteLoans(given_away), now)
    before = away_at(lending, loans, now)
    assert 0 <= before.replicas <= 9
    if replicas > before.replicas:
        with pytest.raises(LoanError):
            reclaim(lending, loans, replicas, now)
        return
    after = reclaim(lending, loans, replicas, now)
    assert away_at(lending, after, now).replicas == before.replicas - replicas
    assert away_at(lending, reclaim(lending, loans, None, now), now).replicas == 0


@given(st.lists(WINDOWS, max_size=3), st.integers(at(0, 0), at(6, 23)))
def test_a_schedule_lends_fewer_first_when_it_says_so(windows, now):
    """Until then it lends as many or more."""
    lending = Lending(9, tuple(windows))
    lent, less_ns, idle_ns = lending.lent_at(now), lending.less_at(now), lending.idle_at(now)
    assert now < less_ns <= now + MINUTES_OF_WEEK * NS_PER_MINUTE
    minutes = range(now // NS_PER_MINUTE + 1, less_ns // NS_PER_MINUTE, 7)
    assert all(lending.lent_at(minute * NS_PER_MINUTE) >= lent for minute in minutes)
    if less_ns < now - now % NS_PER_MINUTE + MINUTES_OF_WEEK * NS_PER_MINUTE:
        assert lending.lent_at(less_ns) < lent
    if idle_ns < now - now % NS_PER_MINUTE + MINUTES_OF_WEEK * NS_PER_MINUTE:
        assert lending.lent_at(idle_ns) == 0


@given(st.sets(st.text("abc", min_size=1)), st.integers(-1, 9), st.lists(st.text("abc")))
def test_those_named_go_first(names, count, first):
    """So many, of those that are there, and the rest from the end of the alphabet."""
    lent = chosen(names, count, first)
    assert len(lent) == min(len(names), max(0, count))
    assert set(lent) <= names
    named = [name for name in dict.fromkeys(first) if name in names]
    assert set(named[: max(0, count)]) <= set(lent)
    unnamed = sorted(names - set(named))
    taken = [name for name in lent if name not in named]
    assert taken == unnamed[len(unnamed) - len(taken) :]
