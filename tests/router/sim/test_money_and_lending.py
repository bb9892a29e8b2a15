"""P9 and P10 in virtual time: budgets hold whatever the demand, and lent capacity comes back."""

import random
from dataclasses import replace
from functools import cache

import pytest

from router.policy.core import RouterCore
from router.policy.fleet import Fleet, Price, Site, SiteKind, SloClass
from router.policy.units import NS_PER_MS, NS_PER_S
from router.sim.plan import Lend, Link, Scenario, SimSession, SimTurn
from router.sim.world import World
from tests.router.sim.test_disruptions import PROFILE

SMALL = replace(PROFILE, seqs_max=4)
LINKS = {"home": Link(NS_PER_MS), "far": Link(20 * NS_PER_MS)}
BUDGET_USD = 0.2
REPLICAS = [("home/0", "home", SMALL), ("far/0", "far", SMALL), ("far/1", "far", SMALL)]


def _fleet(price: Price) -> Fleet:
    return Fleet(
        sites=(Site("home", SiteKind.HOME), Site("far", SiteKind.RENTED, price=price)),
        slo_classes=(SloClass("default", ttft_ns=NS_PER_S, itl_ns=200 * NS_PER_MS),),
        default_slo="default",
    )


def _run(price: Price, sessions, **plan):
    """The records, and the bill of the rented site as the world's meter has it."""
    records = []
    scenario = Scenario(LINKS, 16, prices={"far": price}, **plan)
    World(scenario, REPLICAS, [RouterCore(_fleet(price))], records.append).run(sessions)
    return records, sum(record.usd for record in records)


def _flood(count, per_s):
    """More than home can serve."""
    rng = random.Random(2)
    return [
        SimSession(f"s{i}", round(i * NS_PER_S / per_s), (SimTurn(300, rng.randint(20, 80)),))
        for i in range(count)
    ]


@cache
def _unbound_usd(price):
    """What the same flood costs where nothing bounds it."""
    return _run(price, _flood(500, 10))[1]


@pytest.mark.parametrize(
    "price",
    [
        Price(metered_usd_per_replica_hour=36.0, budget_usd_per_hour=BUDGET_USD),
        Price(metered_usd_per_replica_hour=36.0, budget_usd_per_month=BUDGET_USD),
        Price(egress_usd_per_gib=2e4, budget_usd_per_hour=BUDGET_USD),
        Price(
            metered_usd_per_replica_hour=36.0,
            egress_usd_per_gib=1e4,
            budget_usd_per_hour=BUDGET_USD,
        ),
    ],
    ids=["by the hour", "by the month", "egress alone", "both"],
)
def test_p9_a_flood_spends_no_more_than_the_budget(price):
    """Most of a minute in which rented capacity for more than twice the budget is wanted."""
    records, bill = _run(price, _flood(500, 10))
    assert any(record.site == "far" for record in records)
    assert bill <= BUDGET_USD
    assert _unbound_usd(replace(price, budget_usd_per_hour=None, budget_usd_per_month=None)) > (
        2 * BUDGET_USD
    )


def _nights(worth_usd_per_hour, sessions):
    """What rented capacity cost, and turns that home answered, while it is lent."""
    lend = Lend("home/0", 0, 3_000 * NS_PER_S, 10 * NS_PER_S, worth_usd_per_hour)
    records, bill = _run(Price(metered_usd_per_replica_hour=36.0), sessions, lends=(lend,))
    assert not [record for record in records if record.refused]
    late = [record.site for record in records if record.sent_ns > 1_200 * NS_PER_S]
    return bill, late.count("home") / len(late)


def test_p10_a_loan_ends_where_overflow_costs_more_than_it_is_worth():
    """Home's only replica is lent for most of an hour in which all its sessions overflow."""
    sessions = _flood(900, 0.5)
    never_usd, away = _nights(None, sessions)
    assert away == 0.0
    assert _nights(1_000.0, sessions) == (never_usd, 0.0)
    bill_usd, back = _nights(5.0, sessions)
    assert back > 0.9
    assert bill_usd < 0.6 * never_usd


def test_p10_a_burst_does_not_end_a_loan():
    """Half a minute of overflow costs less than ten minutes of the replica's worth."""
    sessions = [*_flood(30, 1), SimSession("late", 1_500 * NS_PER_S, (SimTurn(300, 30),))]
    assert _nights(5.0, sessions)[1] == 0.0


def test_p10_sessions_leave_lent_capacity_at_turn_boundaries_and_return():
    """Home is lent for a minute, with notice: nothing fails, all is away, and then back."""
    begin_s, end_s, notice_s = 40, 100, 8
    turns = (SimTurn(200, 30), *(SimTurn(250 + 50 * i, 30, 5 * NS_PER_S) for i in range(30)))
    sessions = [SimSession(f"s{i}", i * NS_PER_S // 2, turns) for i in range(8)]
    lend = Lend("home/0", begin_s * NS_PER_S, end_s * NS_PER_S, notice_s * NS_PER_S)
    records, _ = _run(Price(metered_usd_per_replica_hour=3.6), sessions, lends=(lend,))
    assert not [record for record in records if record.refused]
    sent = [(record.sent_ns / NS_PER_S, record.site) for record in records]
    before = {site for at_s, site in sent if at_s < begin_s - notice_s - 1}
    during = {site for at_s, site in sent if begin_s < at_s < end_s}
    after = [site for at_s, site in sent if at_s > end_s + 20]
    assert before == {"home"}
    assert during == {"far"}
    assert after
    assert after.count("home") > 0.9 * len(after)
