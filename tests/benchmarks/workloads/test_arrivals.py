"""Arrival processes keep their rate and their burstiness."""

import itertools
import random
import statistics

import pytest

from benchmarks.workloads.arrivals import constant, gamma, poisson


@pytest.mark.parametrize("cv", [0.0, 0.5, 1.0, 3.0])
def test_gaps_have_the_asked_mean_and_variation(cv):
    """Over many arrivals the gaps' mean is 1/rate and their coefficient of variation is cv."""
    arrivals = itertools.islice(gamma(constant(5.0), cv, random.Random(1)), 20_000)
    gaps = [after - before for before, after in itertools.pairwise(arrivals)]
    mean = statistics.fmean(gaps)
    assert mean == pytest.approx(0.2, rel=0.1)
    assert statistics.pstdev(gaps) / mean == pytest.approx(cv, rel=0.1, abs=1e-6)


def test_a_changing_rate_is_followed():
    """Where the rate doubles, twice as many arrive."""
    rate = lambda at_s: 10.0 if at_s < 100 else 20.0  # noqa: E731
    arrivals = itertools.takewhile(lambda at_s: at_s < 200, poisson(rate, random.Random(2)))
    before, after = [], []
    for at_s in arrivals:
        (before if at_s < 100 else after).append(at_s)
    assert len(before) == pytest.approx(1000, rel=0.1)
    assert len(after) == pytest.approx(2000, rel=0.1)


def test_nothing_arrives_while_the_rate_is_zero():
    """A pause in the rate is a pause in the arrivals, and they go on after it."""
    rate = lambda at_s: 0.0 if 1 <= at_s < 5 else 50.0  # noqa: E731
    arrivals = list(itertools.takewhile(lambda at_s: at_s < 6, poisson(rate, random.Random(3))))
    assert not [at_s for at_s in arrivals if 1 < at_s < 5]
    assert [at_s for at_s in arrivals if at_s >= 5]


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
def test_a_rate_that_is_none_is_refused(rate):
    """A rate must be a positive, finite number."""
    with pytest.raises(ValueError, match="positive number"):
        constant(rate)
