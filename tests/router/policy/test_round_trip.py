"""The round trip estimate."""

from router.policy.round_trip import RoundTrip
from router.policy.units import NS_PER_MS


def test_the_first_measurement_replaces_the_prior():
    """A guess weighs nothing beside a measurement."""
    trip = RoundTrip(prior_ns=90 * NS_PER_MS)
    trip.add(2 * NS_PER_MS)
    assert trip.mean_ns == 2 * NS_PER_MS


def test_it_follows_a_drift_and_allows_for_jitter():
    """A link that became slower is believed; one that varies is given more room."""
    steady, shaky = RoundTrip(), RoundTrip()
    for number in range(100):
        steady.add(10 * NS_PER_MS)
        shaky.add((5 if number % 2 else 15) * NS_PER_MS)
    assert abs(steady.mean_ns - 10 * NS_PER_MS) < NS_PER_MS
    assert shaky.expected_ns > steady.expected_ns + 2 * NS_PER_MS
    for _ in range(50):
        steady.add(30 * NS_PER_MS)
    assert abs(steady.mean_ns - 30 * NS_PER_MS) < NS_PER_MS


def test_an_impossible_measurement_is_ignored():
    """A clock that went backwards teaches nothing."""
    trip = RoundTrip()
    trip.add(-1)
    assert not trip.is_measured
