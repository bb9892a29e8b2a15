"""What is wanted of each site, over hours of a made-up demand on replicas of known capacity."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.policy.fleet import Fleet, Price, Site, SiteKind, SloClass
from router.policy.lending import NS_PER_MINUTE
from router.policy.scale import Scale
from router.policy.scaling.capacity import Sample, SiteSample
from router.policy.scaling.demand import Asked
from router.policy.scaling.scaler import Scaler
from router.policy.units import NS_PER_HOUR, NS_PER_MS, NS_PER_S

REPLICA_PER_S = 1_000.0  # tokens of work that one replica does
TOKEN_NS = 0.7 * NS_PER_S / REPLICA_PER_S  # of which it is believed that it does so much
HOME = Site("home", SiteKind.HOME, scale=Scale(1, 3, 2 * NS_PER_MINUTE, spare_ns=NS_PER_MINUTE))
CLOUD = Site(
    "cloud",
    SiteKind.RENTED,
    price=Price(0, 40.0),
    scale=Scale(0, 4, 10 * NS_PER_MINUTE, NS_PER_HOUR, 5 * NS_PER_MINUTE),
)
SLO = SloClass("chat", NS_PER_S, 100 * NS_PER_MS, confidence=0.99)


class Day:
    """Drives a scaler: replicas that are wanted serve after their time to start."""

    def __init__(self, *sites, home=1):
        self.sites = sites or (HOME, CLOUD)
        self.scaler = Scaler(Fleet(self.sites, (SLO,), "chat"))
        self.now = 0
        self.asked = Asked()
        self.serving = dict.fromkeys((site.name for site in self.sites), 0) | {"home": home}
        self.starting = []  # (when, site)
        self.stuck = set()
        self.draining = set()
        self.away = {}
        self.wants = {}
        self.pressed = None  # None: as many as there is too little for

    def minute(self, work_per_s, minutes=1):
        """So much is asked for so long; the wants afterwards."""
        for _ in range(2 * round(minutes)):
            self.now += NS_PER_MINUTE // 2
            self._serve()
            requests, pressed = self.asked.requests + 60, self.pressed
            if pressed is None:
                pressed = 0.2 * (work_per_s > 0.95 * REPLICA_PER_S * sum(self.serving.values()))
            self.asked = self.asked._replace(
                requests=requests,
                prompt_tokens=self.asked.prompt_tokens + round(30 * work_per_s),
                pressed=self.asked.pressed + round(60 * pressed),
                missed=self.asked.missed + round(60 * pressed),
            )
            for want in self.scaler.look(self._sample(), self.now, self.away):
                self._follow(want)
        return {name: want.wanted for name, want in self.wants.items()}

    def _serve(self):
        due = [one for one in self.starting if one[0] <= self.now]
        self.starting = [one for one in self.starting if one[0] > self.now]
        for _, site in due:
            self.serving[site] += 1

    def _sample(self):
        return Sample(
            self.asked,
            tuple(
                SiteSample(site.name, self.serving[site.name], 0.0, 0, TOKEN_NS,
                           site.name in self.draining)
                for site in self.sites
            ),
        )  # fmt: skip

    def _follow(self, want):
        self.wants[want.site] = want
        site = next(one for one in self.sites if one.name == want.site)
        there = self.serving[site.name] + sum(name == site.name for _, name in self.starting)
        if site.name in self.stuck:
            return
        for _ in range(want.wanted - there):
            self.starting.append((self.now + site.scale.start_ns, site.name))
        for _ in range(there - want.wanted):
            if later := [one for one in self.starting if one[1] == site.name]:
                self.starting.remove(later[-1])
            else:
                self.serving[site.name] -= 1


def test_home_grows_first_and_a_metered_site_only_when_home_is_full():
    """From one replica to all of home, with nothing rented."""
    day = Day()
    assert day.minute(300, 20) == {"home": 1, "cloud": 0}
    for step in range(60):
        wants = day.minute(300 + 20 * step)
        assert wants["cloud"] == 0
    assert wants["home"] >= 2
    assert day.minute(4_000, 30)["cloud"] >= 1


def test_a_metered_site_starts_from_zero_before_home_is_full():
    """Ahead of a forecast overflow, by its time to start."""
    day = Day()
    day.minute(500, 60)
    for step in range(240):
        work = 500 + 3_000 * step / 240
        wants = day.minute(work)
        if wants["cloud"]:
            break
    assert wants == {"home": 3, "cloud": 1}
    assert work < 3 * REPLICA_PER_S
    assert day.starting


def test_what_is_paid_for_is_kept_until_its_hour_ends():
    """And given back then, where it is not needed."""
    day = Day()
    day.minute(300, 10)
    for _ in range(60):
        if day.minute(4_000)["cloud"]:
            break
    asked_for = day.now
    day.minute(4_000, 20)
    kept = []
    while day.now < asked_for + NS_PER_HOUR:
        kept.append(day.minute(300)["cloud"])
    assert min(kept[:-5]) >= 1
    assert day.minute(300, 70)["cloud"] == 0
    assert day.wants["cloud"].paid_usd % 40.0 == 0.0


def test_a_metered_replica_is_not_started_for_a_moment():
    """Demand that the forecast sees fall again is not worth an hour's price."""
    day = Day(home=3)
    day.minute(2_000, 60)
    for step in range(15):
        wants = day.minute(2_500 - 120 * step)
    assert wants["cloud"] == 0


def test_a_loan_lowers_what_home_may_have():
    """What is lent goes at once, and what is needed comes from elsewhere."""
    day = Day(home=3)
    assert day.minute(2_000, 30)["home"] == 3
    day.away = {"home": 2}
    wants = day.minute(2_000, 30)
    assert wants["home"] == 1
    assert wants["cloud"] >= 1
    assert day.wants["home"].replicas_max == 1
    day.away = {}
    assert day.minute(2_000, 10)["home"] == 3


def test_more_than_all_of_home_may_be_lent():
    """Home has nothing then, not less than nothing."""
    day = Day(home=3)
    day.away = {"home": 5}
    assert day.minute(500, 10)["home"] == 0


def test_budgets_bound_what_is_rented():
    """However much is asked."""
    poor = replace(CLOUD, price=Price(0, 40.0, budget_usd_per_hour=90.0))
    day = Day(HOME, poor)
    day.minute(300, 10)
    assert day.minute(20_000, 120) == {"home": 3, "cloud": 2}


def test_a_budget_that_is_lowered_by_a_reload_bounds_what_is_rented():
    """From the next look on, as for what the router itself spends."""
    day = Day(HOME, CLOUD)
    day.minute(300, 10)
    assert day.minute(20_000, 120)["cloud"] == 4
    poor = replace(CLOUD, price=Price(0, 40.0, budget_usd_per_hour=90.0))
    day.scaler.on_fleet(Fleet((HOME, poor), (SLO,), "chat"))
    assert day.minute(20_000)["cloud"] == 2


def test_what_is_committed_at_a_rented_site_stays():
    """It is paid for anyway, and comes before what is metered."""
    near = Site("near", SiteKind.RENTED, price=Price(2, 60.0), scale=Scale(0, 3, 5 * NS_PER_MINUTE))
    day = Day(HOME, near, CLOUD)
    assert day.minute(100, 120) == {"home": 1, "near": 2, "cloud": 0}


def test_a_site_that_drains_is_left_as_it_is_and_counts_for_nothing():
    """Others are asked instead."""
    day = Day(home=2)
    day.minute(1_000, 20)
    day.draining = {"home"}
    day.serving["home"] = 0
    wants = day.minute(1_000, 30)
    assert wants["home"] >= 2
    assert wants["cloud"] >= 1
    assert "drains" in day.wants["home"].reason


def test_a_site_that_gets_nothing_counts_with_what_it_has():
    """After twice its time to start somebody else is asked."""
    day = Day(home=1)
    day.stuck = {"home"}
    assert day.minute(1_800, 4)["cloud"] == 0
    assert day.minute(1_800, 60)["cloud"] >= 1
    assert day.wants["home"].wanted >= 2


def test_a_router_that_restarts_begins_with_what_is_there():
    """Whatever it does not know yet, it takes nothing away at once."""
    day = Day(home=3)
    day.serving["cloud"] = 2
    assert day.minute(0, 1) == {"home": 3, "cloud": 2}


def test_a_months_budget_takes_nothing_away_at_the_first_look():
    """By a wall clock that began in 1970 it looks no further ahead than by any other."""
    monthly = replace(CLOUD, price=Price(0, 40.0, budget_usd_per_month=20_000.0))
    day = Day(HOME, monthly, home=3)
    day.now, day.serving["cloud"] = 1_900_000_000 * NS_PER_S, 2
    assert day.minute(0, 1) == {"home": 3, "cloud": 2}


def test_requests_that_miss_their_objectives_lower_how_busy_replicas_may_be():
    """The same demand then needs more of them."""
    day = Day(home=3)
    day.minute(1_200, 60)
    before = day.wants["home"].need
    day.pressed = 0.2
    day.minute(1_200, 60)
    assert day.wants["home"].need > before


def test_each_want_says_why():
    """With figures."""
    day = Day()
    day.minute(2_000, 10)
    assert "grows" in day.wants["home"].reason or "enough" in day.wants["home"].reason
    assert "requests/s" in day.wants["home"].reason


@settings(max_examples=20, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0, 1e5), st.integers(1, 30), st.integers(0, 5), st.floats(0, 1)),
        min_size=1,
        max_size=5,
    )
)
def test_bounds_hold_whatever_is_asked(spells):
    """Of the site, of a loan and of a budget; and metered money is what was billed."""
    poor = replace(CLOUD, price=Price(0, 40.0, budget_usd_per_hour=90.0))
    day = Day(HOME, poor)
    for work, minutes, lent, pressed in spells:
        day.away, day.pressed = {"home": lent}, pressed
        wants = day.minute(work, minutes)
        assert min(1, max(0, 3 - lent)) <= wants["home"] <= max(0, 3 - lent)
        assert 0 <= wants["cloud"] <= 2
        assert day.wants["cloud"].paid_usd == pytest.approx(
            40.0 * round(day.wants["cloud"].paid_usd / 40.0)
        )
