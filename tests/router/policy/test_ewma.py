"""The mean that forgets with time."""

from hypothesis import given
from hypothesis import strategies as st

from router.policy.ewma import Ewma
from router.policy.units import NS_PER_S


def test_unfed_it_is_the_prior():
    """Before any observation the prior is all there is."""
    assert Ewma(NS_PER_S, prior=7.0).value_at(5) == 7.0


def test_recent_values_outweigh_old_ones():
    """After a few time constants the old level has gone."""
    mean = Ewma(NS_PER_S, prior_weight=0.0)
    for tenth in range(50):
        mean.add(100.0 if tenth < 10 else 1.0, tenth * NS_PER_S // 10)
    assert 1.0 < mean.value_at(5 * NS_PER_S) < 5.0


def test_a_silent_series_returns_to_the_prior():
    """What is not seen again is not believed for ever."""
    mean = Ewma(NS_PER_S, prior=1.0)
    mean.add(9.0, 0)
    fresh, late = mean.value_at(0), mean.value_at(20 * NS_PER_S)
    assert fresh == 5.0
    assert abs(late - 1.0) < 1e-6


def test_reading_changes_nothing():
    """A read far in the future leaves the present as it was."""
    mean = Ewma(NS_PER_S)
    mean.add(4.0, NS_PER_S)
    before = mean.value_at(NS_PER_S)
    mean.value_at(1000 * NS_PER_S)
    assert mean.value_at(NS_PER_S) == before


@given(st.lists(st.tuples(st.floats(0, 1e9), st.integers(0, 10**12)), min_size=1, max_size=50))
def test_it_stays_between_the_least_and_the_greatest_seen(observed):
    """Whatever the order of times, the mean is a mean."""
    mean = Ewma(NS_PER_S, prior_weight=0.0)
    for value, now in observed:
        mean.add(value, now)
    values = [value for value, _ in observed]
    now = max(now for _, now in observed)
    assert min(values) * (1 - 1e-9) <= mean.value_at(now) <= max(values) * (1 + 1e-9)
