"""What one scaler leaves to the next: it goes on as if it were the same one."""

from dataclasses import replace

import pytest

from router.policy.fleet import Fleet, Price, Site, SiteKind, SloClass
from router.policy.scale import Scale
from router.policy.scaling.capacity import Sample, SiteSample
from router.policy.scaling.demand import Asked
from router.policy.scaling.memory import check
from router.policy.scaling.scaler import Scaler
from router.policy.units import NS_PER_HOUR, NS_PER_MS, NS_PER_S

SLO = SloClass("chat", NS_PER_S, 100 * NS_PER_MS)
PRICE = Price(metered_usd_per_replica_hour=4.0, budget_usd_per_month=10_000.0)
HOME = Site("home", SiteKind.HOME, scale=Scale(1, 2))
CLOUD = Site("cloud", SiteKind.RENTED, price=PRICE, scale=Scale(0, 4, billing_ns=NS_PER_HOUR))
MONDAY_NS = 4 * 24 * NS_PER_HOUR
LOOK_NS = 60 * NS_PER_S
REQUESTS_PER_LOOK = 60


class Fed:
    """A scaler that looks once a minute at demand which comes and goes with the hours."""

    def __init__(self, *sites):
        self.sites = sites or (HOME, CLOUD)
        self.scaler = Scaler(Fleet(self.sites, (SLO,), "chat"))
        self.asked, self.wanted = Asked(), {"home": 1, "cloud": 0}
        self.now = MONDAY_NS

    def look(self):
        busy = 8 <= self.now // NS_PER_HOUR % 24 < 20
        requests = self.asked.requests + REQUESTS_PER_LOOK * (8 if busy else 1)
        self.asked = Asked(requests, 2_000 * requests, 200.0 * requests)
        samples = [SiteSample(s.name, self.wanted[s.name], 0.0, 0, 100_000.0) for s in self.sites]
        wants = self.scaler.look(Sample(self.asked, tuple(samples)), self.now, {})
        self.wanted |= {want.site: want.wanted for want in wants}
        return wants

    def until(self, hours):
        end = self.now + round(hours * NS_PER_HOUR)
        while self.now < end:
            self.look()
            self.now += LOOK_NS
        return self


@pytest.fixture(scope="module")
def learned():
    """After three days."""
    return Fed().until(72).scaler.learned()


def test_what_is_learned_is_recalled_as_it_was(learned):
    """Nothing is lost, and nothing is added."""
    check(learned)
    other = Scaler(Fleet((HOME, CLOUD), (SLO,), "chat"))
    other.recall(learned)
    assert other.learned() == learned


def test_a_router_that_is_started_anew_foresees_the_morning_and_knows_what_is_paid_for():
    """As the one before would have; one that learns anew sees it when it comes."""
    fed = Fed().until(3 * 24 + 7)
    heir, novice = Fed(), Fed()
    heir.scaler.recall(fed.scaler.learned())
    for one in (heir, novice):
        one.asked, one.wanted, one.now = fed.asked, dict(fed.wanted), fed.now
    for _ in range(57):
        said = [one.look() for one in (fed, heir, novice)]
        fed.now = heir.now = novice.now = fed.now + LOOK_NS
    as_before, inherited, anew = ({want.site: want.need for want in wants} for wants in said)
    assert inherited == pytest.approx(as_before, rel=0.1, abs=0.1)
    assert inherited["home"] > 1.5 * anew["home"]
    paid = [{want.site: want.paid_usd for want in wants} for wants in said]
    assert paid[0]["cloud"] > 0.0
    assert paid[1] == pytest.approx(paid[0])
    assert paid[2]["cloud"] == 0.0


def test_a_month_that_was_paid_for_is_paid_for_in_the_next_router_too():
    """A router that is started anew each hour has one monthly budget, not one each."""
    tight = replace(CLOUD, price=replace(PRICE, budget_usd_per_month=4.0))
    fed = Fed(HOME, tight)
    fed.now += 9 * NS_PER_HOUR
    fed.until(0.5)
    assert fed.wanted["cloud"] == 1  # what its budget allows
    for _ in range(3):
        fresh = Fed(HOME, tight)
        fresh.scaler.recall(fed.scaler.learned())
        fresh.now, fresh.wanted = fed.now, dict(fed.wanted)
        fed = fresh.until(0.5)
    paid = {want.site: want.paid_usd for want in fed.look()}
    assert fed.wanted["cloud"] == 0
    assert paid["cloud"] == pytest.approx(4.0)


def test_a_site_that_has_another_price_is_billed_by_it_from_then_on(learned):
    """What was billed stays so."""
    dear = replace(CLOUD, price=replace(PRICE, metered_usd_per_replica_hour=8.0))
    fed = Fed(HOME, dear)
    fed.scaler.recall(learned)
    fed.now += 73 * NS_PER_HOUR
    before = learned.bills["cloud"]
    assert before.paid_ns or before.asked_unix_ns
    paid = {want.site: want.paid_usd for want in (fed.look(), fed.look())[0]}
    usd = (before.paid_ns / NS_PER_HOUR) * 4.0
    assert paid["cloud"] >= usd


@pytest.mark.parametrize(
    "wrong",
    [
        {"limit": float("nan")},
        {"limit": 0.0},
        {"per_s": {"home": (-1.0, 0)}},
        {"per_s": {f"s{n}": (1.0, 0) for n in range(1_001)}},
    ],
)
def test_what_nobody_could_have_learned_is_refused(learned, wrong):
    """Numbers that are none, and more of them than there can be."""
    with pytest.raises(ValueError, match=r"^it "):
        check(replace(learned, **wrong))


def test_tables_of_another_size_are_refused(learned):
    """A week has as many quarters of an hour as it has."""
    seasons = replace(learned.forecasts.seasons, week=learned.forecasts.seasons.week[1:])
    with pytest.raises(ValueError, match="another number of a week"):
        check(replace(learned, forecasts=replace(learned.forecasts, seasons=seasons)))
