"""A loan is taken back when overflow costs more than it is worth, and for no burst."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.policy.loan_worth import GRAIN_NS, WINDOW_NS, OverflowCost, to_take_back
from router.policy.units import NS_PER_S


def spent_at(cost, usd_per_hour, seconds, since_s=0, spent=0.0):
    """What is spent in the end, where so much is spent by the hour for so long."""
    for at_s in range(since_s, since_s + seconds + 1):
        cost.add(spent, at_s * NS_PER_S)
        spent += usd_per_hour / 3600
    return spent


def test_a_rate_is_known_once_it_has_lasted():
    """Half of it after half of the time."""
    cost = OverflowCost()
    spent = spent_at(cost, 6.0, 300)
    assert cost.usd_per_hour(spent) == pytest.approx(3.0, rel=0.05)
    spent = spent_at(cost, 6.0, 900, 301, spent)
    assert cost.usd_per_hour(spent) == pytest.approx(6.0, rel=0.05)
    assert cost.usd_per_hour(spent_at(cost, 0.0, 700, 1202, spent)) == 0.0


def test_what_was_spent_before_it_was_looked_at_is_not_counted():
    """Nor what was before it was told to begin anew."""
    cost = OverflowCost()
    assert cost.usd_per_hour(7.0) == 0.0
    cost.add(7.0, 0)
    assert cost.usd_per_hour(7.0) == 0.0
    cost.add(9.0, 2 * GRAIN_NS)
    cost.forget()
    assert cost.usd_per_hour(9.0) == 0.0


@given(st.lists(st.tuples(st.integers(0, 10**12), st.floats(0, 10)), max_size=200))
def test_so_many_samples_are_kept_and_no_more(steps):
    """Whatever the pace; a rate is never below zero."""
    cost, now, spent = OverflowCost(), 0, 0.0
    for after_ns, usd in steps:
        now, spent = now + after_ns, spent + usd
        cost.add(spent, now)
        assert len(cost._samples) <= WINDOW_NS // GRAIN_NS + 2
        assert cost.usd_per_hour(spent) >= 0.0


@pytest.mark.parametrize(
    ("lent", "overflow", "worth", "back"),
    [
        (3, 1.9, 2.0, 0),
        (3, 2.0, 2.0, 1),
        (3, 5.0, 2.0, 2),
        (3, 50.0, 2.0, 3),
        (3, 50.0, None, 0),
        (3, 0.0, 0.0, 0),
        (3, 0.1, 0.0, 3),
        (0, 9.0, 2.0, 0),
    ],
)
def test_as_many_come_back_as_overflow_pays_for(lent, overflow, worth, back):
    """Each at what a lent replica is worth; without a worth, none."""
    assert to_take_back(lent, overflow, worth) == back


@given(st.integers(0, 9), st.floats(0, 1e9), st.none() | st.floats(0, 1e6))
def test_never_more_than_are_lent(lent, overflow, worth):
    """And what comes back is worth no more than overflow costs."""
    back = to_take_back(lent, overflow, worth)
    assert 0 <= back <= lent
    assert back * (worth or 0.0) <= overflow
