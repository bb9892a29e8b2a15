"""Forecasts from the level, its trend, and what days and weeks usually look like."""

from math import cos, pi

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.policy.lending import MINUTES_OF_WEEK, NS_PER_MINUTE
from router.policy.scaling.demand import Demand
from router.policy.scaling.forecast import Forecaster
from router.policy.scaling.season import Season
from router.policy.units import NS_PER_HOUR

HORIZON_NS = 10 * NS_PER_MINUTE
DAY_NS = 24 * NS_PER_HOUR
MONDAY_NS = 4 * DAY_NS  # 1970 began on a Thursday


def demand(level):
    return Demand(level, 100 * level, 20 * level)


def fed(level_at, until_ns, start_ns=0):
    """A forecaster that has seen a sample a minute."""
    forecaster = Forecaster()
    for at in range(start_ns, until_ns + 1, NS_PER_MINUTE):
        forecaster.add(demand(level_at(at)), HORIZON_NS, at)
    return forecaster


def daily(at):
    return 10.0 - 8.0 * cos(2 * pi * at / DAY_NS)


def test_what_stays_the_same_is_forecast_to(rng):
    """From the first minutes on: there need be no history."""
    now = 20 * NS_PER_MINUTE
    forecaster = fed(lambda _: rng.uniform(9.0, 11.0), now)
    assert forecaster.current(now).requests == pytest.approx(10.0, rel=0.15)
    assert forecaster.at(now + HORIZON_NS, now).requests == pytest.approx(10.0, rel=0.2)


def test_nothing_is_forecast_of_nothing():
    """Before the first sample, and after silence."""
    forecaster = Forecaster()
    assert forecaster.at(HORIZON_NS, 0) == Demand()
    now = 5 * NS_PER_HOUR
    silent = fed(lambda at: 10.0 if at < NS_PER_HOUR else 0.0, now)
    assert silent.at(now + HORIZON_NS, now).requests < 0.1


def test_a_trend_goes_on_and_a_mean_does_not_lag_behind_it():
    """A ramp is where it will be, not where it was."""
    now = 2 * NS_PER_HOUR
    forecaster = fed(lambda at: at / NS_PER_MINUTE, now)
    assert forecaster.current(now).requests == pytest.approx(120, rel=0.05)
    assert forecaster.at(now + HORIZON_NS, now).requests == pytest.approx(128, rel=0.05)


def test_the_shape_of_days_is_learned():
    """After three, the morning's rise is foreseen an hour ahead better than by its trend."""
    now = MONDAY_NS + 3 * DAY_NS + 5 * NS_PER_HOUR
    then = now + 2 * NS_PER_HOUR
    learned = fed(daily, now, MONDAY_NS).at(then, now).requests
    new = fed(daily, now, MONDAY_NS + 3 * DAY_NS).at(then, now).requests
    assert abs(learned - daily(then)) < 0.15 * daily(then)
    assert abs(learned - daily(then)) < abs(new - daily(then))


def test_a_day_with_twice_as_much_has_the_shape_of_the_others():
    """What is asked now says by how much it is another day."""
    last_ns = MONDAY_NS + 3 * DAY_NS
    now = last_ns + 6 * NS_PER_HOUR
    forecaster = fed(lambda at: daily(at) * (2.0 if at >= last_ns else 1.0), now, MONDAY_NS)
    then = now + NS_PER_HOUR
    assert forecaster.at(then, now).requests == pytest.approx(2 * daily(then), rel=0.15)


def test_the_error_is_that_of_the_forecasts():
    """What comes as it was said makes it small; what jumps to and fro keeps it large."""
    now = 12 * NS_PER_HOUR
    steady = fed(lambda _: 10.0, now).error(now)
    wild = fed(lambda at: 2.0 + 18.0 * (at // (40 * NS_PER_MINUTE) % 2), now).error(now)
    assert steady < 0.08
    assert 0.3 < wild <= 0.5


def test_weekends_and_working_days_are_told_apart():
    """A Saturday that was never seen is no Monday."""
    season = Season()
    for minute in range(0, 5 * 24 * 60, 5):
        season.add(demand(10.0), MONDAY_NS + minute * NS_PER_MINUTE)
    _, trust = season.at(MONDAY_NS + 5 * DAY_NS + 12 * NS_PER_HOUR)
    assert trust == 0.0
    usual, trust = season.at(MONDAY_NS + 7 * DAY_NS + 12 * NS_PER_HOUR)
    assert (usual.requests, trust > 0.5) == (pytest.approx(10.0), True)


@given(st.lists(st.tuples(st.integers(0, 10**7), st.floats(0, 1e6)), min_size=1, max_size=30))
def test_no_history_makes_a_forecast_that_is_none(samples):
    """Gaps, jumps and a clock far ahead: forecasts are finite and not negative."""
    forecaster, now = Forecaster(), 0
    for gap_s, level in samples:
        now += (gap_s + 1) * 1_000_000_000
        forecaster.add(demand(level), HORIZON_NS, now)
        for ahead_ns in (0, HORIZON_NS, MINUTES_OF_WEEK * NS_PER_MINUTE):
            assert 0.0 <= forecaster.at(now + ahead_ns, now).requests < 1e9
        assert 0.0 <= forecaster.error(now) <= 0.5
