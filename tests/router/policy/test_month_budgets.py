"""Budgets by the calendar month: what a hard one stops, and what a restart remembers."""

import random
from dataclasses import replace

import pytest

from router.policy.core import RouterCore
from router.policy.decision import Refuse, Rule, Send
from router.policy.endpoint import Endpoint
from router.policy.fleet import Price, Site, SiteKind, Tenant
from router.policy.month_cap import MonthCap, Spent
from router.policy.outcome import End, Ended
from router.policy.request import Request
from router.policy.units import NS_PER_HOUR, NS_PER_S
from tests.router.policy import toy

NOVEMBER, DECEMBER = 202611, 202612


def _fleet(site_usd=None, tenants=(), *, shares=False, **price):
    fleet = toy.fleet()
    priced = Price(metered_usd_per_replica_hour=4.0, budget_usd_per_month=site_usd, **price)
    sites = (Site("home", SiteKind.HOME), Site("rented", SiteKind.RENTED, price=priced))
    return replace(fleet, sites=sites, tenants=tuple(tenants), shares=shares)


def _core(fleet):
    """Only the rented site has an endpoint, so that whatever is served costs."""
    core = RouterCore(fleet)
    core.on_endpoint_up(Endpoint("rented-0", "rented", toy.MODEL), NS_PER_S)
    return core


class _Caller:
    """Sends requests that take an hour of the replica each."""

    def __init__(self, core):
        self.core = core
        self.now = NS_PER_S
        self.count = 0

    def ask(self, tenant="acme", hours=1.0):
        self.count += 1
        rng = random.Random(self.count)
        request = Request(f"r{self.count}", toy.MODEL, tenant=tenant, prompt_tokens=10)
        decision = self.core.on_request(request, self.now, rng)
        if isinstance(decision, Send):
            self.now += int(hours * NS_PER_HOUR)
            ended = Ended(request.id, decision.endpoint, End.OK, output_tokens=5)
            self.core.on_outcome(ended, self.now, rng)
        return decision


def _is_over(decision, why):
    assert isinstance(decision, Refuse)
    assert decision.rule is Rule.NO_ENDPOINT
    return decision.candidates[0].excluded == why


def _acme(budget=10.0, **terms):
    return Tenant("acme", budget_usd_per_month=budget, **terms)


def test_a_tenant_that_has_spent_its_budget_goes_nowhere_where_it_costs():
    """Others do, and so does it when the next month begins."""
    caller = _Caller(_core(_fleet(tenants=[_acme()])))
    caller.core.on_spent(Spent(NOVEMBER), caller.now)
    while isinstance(caller.ask(), Send):
        pass
    assert caller.count == 4  # the third hour was begun with eight of ten dollars spent
    assert _is_over(caller.ask(), "over its tenant's budget")
    assert isinstance(caller.ask("bolt"), Send)
    caller.core.on_spent(Spent(DECEMBER), caller.now)
    assert isinstance(caller.ask(), Send)


def test_with_an_empty_purse_requests_stay_where_they_cost_nothing():
    """A committed replica is paid for, and so is home."""
    fleet = _fleet(tenants=[_acme(0.0)], committed_replicas=1)
    caller = _Caller(_core(fleet))
    caller.core.on_spent(Spent(NOVEMBER), caller.now)
    assert isinstance(caller.ask(), Send)


def test_what_was_spent_before_a_restart_counts():
    """And what other routers have spent."""
    caller = _Caller(_core(_fleet(tenants=[_acme()])))
    caller.core.on_spent(Spent(NOVEMBER, tenants=(("acme", 9.9999999), ("bolt", 99.0))), caller.now)
    assert _is_over(caller.ask(), "over its tenant's budget")
    caller.core.on_spent(Spent(NOVEMBER, tenants=(("acme", 1.0),)), caller.now)
    assert isinstance(caller.ask(), Send)


def test_a_sites_budget_holds_for_the_calendar_month_of_all():
    """Also where the budget that flows in steadily would have room."""
    caller = _Caller(_core(_fleet(site_usd=1_000.0)))
    caller.core.on_spent(Spent(NOVEMBER, sites=(("rented", 999.9999999),)), caller.now)
    assert _is_over(caller.ask(), "over budget")
    caller.core.on_spent(Spent(DECEMBER), caller.now)
    assert isinstance(caller.ask(), Send)


def test_without_accounts_nothing_is_bounded_by_the_month():
    """A router that nobody tells of months does not stop after some."""
    caller = _Caller(_core(_fleet(tenants=[_acme(1.0)])))
    assert [type(caller.ask()) for _ in range(3)] == [Send] * 3


def test_what_is_in_flight_is_held_back():
    """Two requests that each would take more than half are not both sent."""
    cap_usd = 0.01
    core = _core(_fleet(tenants=[_acme(cap_usd)]))
    core.on_spent(Spent(NOVEMBER), NS_PER_S)
    sent = 0
    for number in range(1_000):
        request = Request(f"r{number}", toy.MODEL, tenant="acme", prompt_tokens=1_000)
        decision = core.on_request(request, NS_PER_S, random.Random(1))
        if not isinstance(decision, Send):
            break
        sent += 1
    assert 0 < sent < 1_000
    held = core._registry.purses.of("acme")._reserved_usd
    assert 0.0 < held <= cap_usd


def test_a_budget_that_is_new_to_the_fleet_file_knows_the_month():
    """With what its tenant has spent before, and so does that of a tenant that comes back."""
    caller = _Caller(_core(_fleet(tenants=[Tenant("acme")])))
    caller.core.on_spent(Spent(NOVEMBER, tenants=(("acme", 3.0),)), caller.now)
    caller.ask()
    caller.core.on_fleet(_fleet(tenants=[]), caller.now)
    caller.core.on_fleet(_fleet(tenants=[_acme(8.0, warn_usd_per_month=5.0)]), caller.now)
    (budget,) = caller.core.snapshot(caller.now).budgets
    assert (budget.month, budget.tenant, budget.is_high, budget.is_spent) == (
        NOVEMBER,
        "acme",
        True,
        False,
    )
    assert budget.spent_usd == pytest.approx(7.0)


def test_nothing_stays_held_back_for_a_tenant_that_comes_or_goes_meanwhile():
    """Its request ends under other terms than it began with; whose it is then pays for it."""
    with_acme, without = _fleet(tenants=[_acme()]), _fleet()
    for first, then in ((with_acme, without), (without, with_acme)):
        core = _core(first)
        core.on_spent(Spent(NOVEMBER), NS_PER_S)
        request = Request("r", toy.MODEL, tenant="acme", prompt_tokens=10_000)
        sent = core.on_request(request, NS_PER_S, random.Random(1))
        purses = core._registry.purses
        assert purses.of("acme")._reserved_usd > 0.0
        core.on_fleet(then, NS_PER_S)
        ended = Ended(request.id, sent.endpoint, End.OK, output_tokens=5)
        core.on_outcome(ended, NS_PER_S + NS_PER_HOUR, random.Random(1))
        assert purses.of("acme").cap.spent_usd == pytest.approx(4.0)
        core.on_fleet(with_acme, NS_PER_S + NS_PER_HOUR)
        assert [purse._reserved_usd for purse in purses] == [0.0, 0.0]


def test_routers_that_share_a_store_spend_what_it_gives_out():
    """Nothing, as long as it has given nothing; and what was wanted is asked for."""
    caller = _Caller(_core(_fleet(tenants=[_acme(100.0)], shares=True)))
    caller.core.on_spent(Spent(NOVEMBER), caller.now)
    assert _is_over(caller.ask(), "over its tenant's budget")
    (want,) = caller.core.allowances.wants(caller.now)
    assert want.bucket.name == "usd/tenant/acme/month"
    assert want.amount > 0.0


def test_the_last_dollar_is_the_budgets():
    """Exactly what is left may be spent, and not more."""
    cap = MonthCap(10.0, None)
    cap.hear(NOVEMBER, 4.0)
    cap.use(5.0)
    assert cap.has_room(1.0)
    assert not cap.has_room(1.0 + 1e-9)
    cap.hear(NOVEMBER, 4.0)
    assert cap.spent_usd == 9.0
    cap.hear(DECEMBER, 0.0)
    assert cap.spent_usd == 0.0
