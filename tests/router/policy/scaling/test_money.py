"""Metered replicas are paid for as they are billed, and within their budgets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.policy.fleet import Price
from router.policy.scaling.money import Money
from router.policy.scaling.paid import Paid
from router.policy.units import NS_PER_HOUR

MINUTE_NS = NS_PER_HOUR // 60


def test_an_hour_that_has_begun_is_paid_for():
    """And what was given back in it stays paid."""
    paid = Paid(NS_PER_HOUR)
    paid.set(2, 0)
    assert paid.paid_ns(1) == 2 * NS_PER_HOUR
    paid.set(1, 61 * MINUTE_NS)
    assert paid.paid_ns(61 * MINUTE_NS) == 4 * NS_PER_HOUR


def test_those_end_whose_hour_does():
    """The one that is paid for the least longer goes first."""
    paid = Paid(NS_PER_HOUR)
    paid.set(1, 0)
    paid.set(2, 30 * MINUTE_NS)
    assert paid.ending(5 * MINUTE_NS, 56 * MINUTE_NS) == 1
    assert paid.ending(5 * MINUTE_NS, 50 * MINUTE_NS) == 0
    paid.set(1, 56 * MINUTE_NS)
    assert paid.ending(5 * MINUTE_NS, 86 * MINUTE_NS) == 1
    assert paid.paid_ns(86 * MINUTE_NS) == 2 * NS_PER_HOUR


@given(
    st.lists(st.tuples(st.integers(1, 10**13), st.integers(0, 5)), max_size=40),
    st.integers(1, 10**13),
)
def test_at_least_what_is_used_is_paid(changes, billing_ns):
    """And less than one more billing for each replica that ever began."""
    paid, now, used_ns, count, begun = Paid(billing_ns), 0, 0, 0, 0
    for elapsed_ns, wanted in changes:
        used_ns += count * elapsed_ns
        now += elapsed_ns
        begun += max(0, wanted - count)
        paid.set(wanted, now)
        count = wanted
        assert len(paid) == wanted
        assert used_ns <= paid.paid_ns(now) <= used_ns + begun * billing_ns


def test_an_hours_budget_bounds_how_many_there_are():
    """What is not metered has no bound."""
    assert Money(Price(0, 30.0, budget_usd_per_hour=100.0), NS_PER_HOUR).metered_max(0, 0) == 3
    assert Money(Price(0, 30.0), NS_PER_HOUR).metered_max(0, 0) is None
    assert Money(Price(2), NS_PER_HOUR).metered_max(0, 0) is None


def test_a_months_budget_is_never_exceeded():
    """However many are wanted, and whatever they are billed by."""
    money = Money(Price(0, 30.0, budget_usd_per_month=1_000.0), NS_PER_HOUR)
    for minute in range(0, 20 * 24 * 60, 5):
        now = minute * MINUTE_NS
        most = money.metered_max(10 * MINUTE_NS, now)
        assert most is not None
        money.set(min(4, most), now)
        assert money.paid_usd(now) <= 1_000.0
    assert money.paid_usd(now) > 900.0
    later = 31 * 24 * NS_PER_HOUR
    assert money.metered_max(10 * MINUTE_NS, later) == pytest.approx(33, abs=1)


def test_another_price_is_for_what_is_billed_from_now_on():
    """What was billed stays so, and counts against the month's budget."""
    money = Money(Price(0, 30.0), NS_PER_HOUR)
    money.set(2, 0)
    money.adopt(Price(0, 10.0, budget_usd_per_hour=35.0), NS_PER_HOUR, MINUTE_NS)
    assert money.paid_usd(MINUTE_NS) == 2 * 30.0 + 2 * 10.0
    assert money.metered_max(0, MINUTE_NS) == 3
    money.adopt(Price(0, 10.0, budget_usd_per_hour=15.0), NS_PER_HOUR, 2 * MINUTE_NS)
    assert money.paid_usd(2 * MINUTE_NS) == 80.0
    assert money.metered_max(0, 2 * MINUTE_NS) == 1


def test_a_price_that_begins_or_ends_is_heard():
    """What is metered no longer has no bound, and costs no more."""
    money = Money(Price(0, 30.0, budget_usd_per_hour=60.0), NS_PER_HOUR)
    money.set(1, 0)
    money.adopt(Price(1), NS_PER_HOUR, MINUTE_NS)
    assert money.metered_max(0, MINUTE_NS) is None
    assert money.paid_usd(5 * NS_PER_HOUR) == 30.0
    money.adopt(Price(0, 5.0, budget_usd_per_hour=20.0), NS_PER_HOUR, 5 * NS_PER_HOUR)
    money.set(2, 5 * NS_PER_HOUR)
    assert money.metered_max(0, 5 * NS_PER_HOUR) == 4
    assert money.paid_usd(5 * NS_PER_HOUR) == 40.0
