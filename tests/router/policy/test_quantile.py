"""One quantile in one number."""

import pytest

from router.policy.quantile import Quantile


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_the_wanted_share_lies_below_it(share, rng):
    """Fed with a long-tailed quantity, it rests where its share says."""
    quantile = Quantile(share, 1.3, 0.1, 20.0)
    below = []
    for number in range(20_000):
        value = rng.lognormvariate(0.0, 0.5)
        if number > 2_000:
            below.append(value <= quantile.value)
        quantile.add(value)
    assert abs(sum(below) / len(below) - share) < 0.02


def test_it_stays_within_its_bounds():
    """No run of surprises takes it further than it may go."""
    quantile = Quantile(0.9, 1.3, 1.0, 4.0)
    for _ in range(1000):
        quantile.add(1e9)
    assert quantile.value == 4.0
    for _ in range(1000):
        quantile.add(0.0)
    assert quantile.value == 1.0
