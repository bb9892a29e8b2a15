"""Metered cost and budgets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.policy.fleet import Price, Site, SiteKind
from router.policy.spend import Budget, Spend
from router.policy.units import NS_PER_HOUR, NS_PER_S


def _spend(**price: float) -> Spend:
    return Spend(Site("rented", SiteKind.RENTED, price=Price(**price)))


def test_home_is_sunk_cost():
    """Whatever the file says of home's price, nothing is metered there."""
    spend = Spend(Site("home", SiteKind.HOME, price=Price(metered_usd_per_replica_hour=9.0)))
    spend.on_send(0.0, 0, more=1)
    assert spend.spent_usd(NS_PER_HOUR) == 0.0
    assert not spend.is_metered


def test_a_replica_is_paid_while_it_works_however_many_requests_it_has():
    """Two overlapping requests on one replica cost its busy time, once."""
    spend = _spend(metered_usd_per_replica_hour=3.6)
    spend.on_send(0.0, 0, more=1)
    spend.on_send(0.0, 10 * NS_PER_S, more=0)
    spend.on_end(0.0, 0, 20 * NS_PER_S, fewer=0)
    spend.on_end(0.0, 0, 30 * NS_PER_S, fewer=1)
    assert spend.spent_usd(100 * NS_PER_S) == pytest.approx(0.03)


def test_committed_replicas_are_free_at_the_margin():
    """The first busy replica costs nothing, the second is metered."""
    spend = _spend(metered_usd_per_replica_hour=3.6, committed_replicas=1)
    assert spend.idle_usd_per_ns == 0.0
    spend.on_send(0.0, 0, more=1)
    assert spend.busy_usd_per_ns == 0.0
    assert spend.idle_usd_per_ns > 0.0
    spend.on_send(0.0, 0, more=1)
    assert spend.busy_usd_per_ns > 0.0
    assert spend.spent_usd(10 * NS_PER_S) == pytest.approx(0.01)


def test_egress_is_paid_by_the_byte():
    """A gibibyte costs its price."""
    spend = _spend(egress_usd_per_gib=0.5)
    spend.on_send(0.0, 0, more=1)
    spend.on_end(0.0, 1 << 30, NS_PER_S, fewer=1)
    assert spend.spent_usd(NS_PER_S) == pytest.approx(0.5)


def test_what_is_in_flight_is_held_back_from_the_budget():
    """Requests that were sent but not yet paid for leave no room for more than the budget has."""
    spend = _spend(metered_usd_per_replica_hour=1.0, budget_usd_per_hour=4.0)
    sent = 0
    while spend.allows(0.3, 0):
        spend.on_send(0.3, 0, more=int(not sent))
        sent += 1
    assert sent == 3
    spend.on_end(0.3, 0, 0, fewer=0)
    assert spend.allows(0.3, 0)


@given(st.lists(st.tuples(st.floats(0.0, 1.0), st.integers(0, NS_PER_HOUR // 20)), max_size=200))
def test_p9_no_hour_costs_more_than_its_budget(charges):
    """Spent as soon as it may be, in any pattern, every hour stays within the budget."""
    budget, now, paid = Budget(10.0, NS_PER_HOUR), NS_PER_S, []
    for usd, pause in charges:
        now += pause
        if budget.level(now) >= usd:
            budget.use(usd, now)
            paid.append((now, usd))
    for start, _ in paid:
        within = sum(usd for at, usd in paid if start <= at < start + NS_PER_HOUR)
        assert within <= 10.0 + 1e-6
