"""The planner finds what to rent, and says what it would cost otherwise."""

from dataclasses import replace

import pytest

from router.policy.fleet import Fleet, Price, Site, SiteKind, SloClass
from router.policy.lending import Lending, LendWindow
from router.policy.units import NS_PER_MS, NS_PER_S
from router.sim.plan import SimSession, SimTurn
from spillway.planning import outcome
from spillway.planning.busy import committed, work
from spillway.planning.demand import sample
from spillway.planning.offer import Offer
from spillway.planning.search import Planner
from spillway.planning.settings import minute_of

HOME = Site("home", SiteKind.HOME)
AWAY = Site("away", SiteKind.RENTED, price=Price(metered_usd_per_replica_hour=50.0))
FLEET = Fleet(
    sites=(HOME, AWAY),
    slo_classes=(SloClass("chat", NS_PER_S, 100 * NS_PER_MS, NS_PER_MS // 4),),
    default_slo="chat",
)
OFFERS = (Offer(HOME, "h100", 1, 0.5, 30.0), Offer(AWAY, "h100", 6, 30.0, 30.0))


def load(count, gap_s):
    """Equal turns at even gaps."""
    for index in range(count):
        yield SimSession(f"s{index}", int(index * gap_s * NS_PER_S), (SimTurn(4000, 40),))


def planned(gap_s, objective=0.9):
    """The plan for a hundred turns."""
    return Planner(FLEET, OFFERS, sample(load(100, gap_s)), lambda _: None).plan(objective)


def test_a_light_load_takes_one_replica_of_the_cheapest_site():
    """And no lone site would be cheaper."""
    plan = planned(2.0)
    assert plan.is_met
    assert sum(plan.best.replicas.values()) == 1
    assert plan.home_only.replicas == {"home": 1, "away": 0}
    assert plan.home_only.usd_per_month == pytest.approx(30 * 730)
    assert plan.best.usd_per_month <= plan.home_only.usd_per_month
    assert plan.best.usd_per_month <= plan.rented_only.usd_per_month
    assert all(trial.attainment == 0 for trial in plan.without.values())


def test_what_home_cannot_carry_is_rented():
    """As few replicas as keep the objective; less is tried and misses it."""
    plan = planned(0.15)
    assert plan.is_met
    assert 0 < plan.best.replicas["away"] < 6
    assert plan.best.attainment >= 0.9
    assert plan.without["away"].attainment < 0.9
    costs = [trial.usd_per_month for trial in plan.frontier]
    assert costs == sorted(costs)
    told = [row[0] for row in outcome.rows(plan)]
    assert told[:3] == ["best", "home only", "rented only"]
    assert "best, away lost" in told
    assert told[-1] == "frontier"
    assert "committed" in outcome.sentence(plan, OFFERS)
    assert outcome.as_json(plan)["best"]["replicas"] == plan.best.replicas


def test_an_objective_that_nothing_meets_is_said_to_be_out_of_reach():
    """With the plan that comes nearest."""
    plan = planned(0.01, objective=1.0)
    assert not plan.is_met
    assert outcome.sentence(plan, OFFERS).startswith("No plan keeps 100 %")


def test_spells_stand_for_the_whole_trace():
    """Their weights add up to one, and the heaviest is among them."""
    demand = sample(load(1000, 3.0))
    assert sum(spell.weight for spell in demand.spells) == pytest.approx(1.0)
    assert demand.sessions == 1000
    assert all(spell.sessions[0].at_ns >= 0 for spell in demand.spells)


def test_an_empty_trace_is_refused():
    """There is nothing to plan for."""
    with pytest.raises(ValueError, match="no sessions"):
        sample([])


def test_the_time_in_which_so_many_replicas_work():
    """Overlaps on one replica count once."""
    assert work([("a", 0, 10), ("a", 5, 12), ("b", 8, 20), ("c", 30, 31)]) == [21, 4]


@pytest.mark.parametrize(("shares", "count"), [([0.9, 0.5, 0.1], 1), ([0.7, 0.65], 2), ([], 0)])
def test_a_replica_is_committed_where_it_works_more_than_the_ratio_of_the_prices(shares, count):
    """60 against 100: above six tenths of the time."""
    assert committed(shares, 60.0, 100.0) == count


def test_what_home_lends_is_planned_for_when_it_is_away():
    """Alone, home needs a second replica for a load that one would carry at another hour."""
    lent = replace(HOME, lending=Lending(1, (LendWindow(1, 0, 12 * 60),)))
    offers = (replace(OFFERS[0], site=lent), OFFERS[1])
    fleet = replace(FLEET, sites=(lent, AWAY))
    found = {}
    for begins_minute in (0, 12 * 60):
        demand = sample(load(40, 2.0), begins_minute, [lent.lending])
        found[begins_minute] = Planner(fleet, offers, demand, lambda _: None).plan(0.9)
    assert found[0].home_only.replicas["home"] == 2
    assert found[0].best.replicas["away"]
    assert found[12 * 60].home_only.replicas["home"] == 1


def test_spells_of_a_night_stand_for_nights():
    """By themselves, however light: their weights are the share of the night."""
    nights = Lending(2, (LendWindow(1, 0, 6 * 60),))
    demand = sample(load(2000, 43.2), 0, [nights])  # a day
    lent = [s for s in demand.spells if nights.lent(int(s.begins_s / 60))]
    assert sum(spell.weight for spell in lent) == pytest.approx(0.25, abs=0.03)
    assert sum(spell.weight for spell in demand.spells) == pytest.approx(1.0)


@pytest.mark.parametrize(("text", "minute"), [("mon 00:00", 0), ("Sun 23:59", 10_079)])
def test_a_demand_begins_at_a_day_and_time(text, minute):
    """Of the week."""
    assert minute_of(text) == minute


@pytest.mark.parametrize("text", ["", "00:00", "mon 24:00", "mo 1:00", "mon 01:60"])
def test_a_beginning_that_is_no_time_is_refused(text):
    """With an example."""
    with pytest.raises(ValueError, match="such as mon 22:30"):
        minute_of(text)


@pytest.mark.outside
def test_plans_tried_side_by_side_come_to_the_same():
    """In two processes as in this one."""
    demand = sample(load(60, 0.3))
    alone = Planner(FLEET, OFFERS, demand, lambda _: None).plan(0.9)
    assert Planner(FLEET, OFFERS, demand, lambda _: None, processes=2).plan(0.9) == alone
