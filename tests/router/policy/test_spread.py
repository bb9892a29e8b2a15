"""The recent spread of a ratio."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.policy.spread import Spread


@pytest.mark.parametrize("share", [0.5, 0.9, 0.95])
def test_the_wanted_share_lies_below_it(share, rng):
    """Of a long-tailed ratio, what comes next is below as often as the share says."""
    spread, below = Spread([share], 1.3), []
    for _ in range(5_000):
        value = rng.lognormvariate(0.0, 0.4)
        below.append(value <= spread.values[0])
        spread.add(value)
    assert sum(below) / len(below) == pytest.approx(share, abs=0.02)


def test_it_begins_with_what_is_stated():
    """Before any observation nine tenths lie below the start."""
    spread = Spread([0.5, 0.9], 1.4)
    assert spread.values[0] == pytest.approx(1.0, abs=0.02)
    assert spread.values[1] == pytest.approx(1.4, rel=0.1)


def test_a_bad_spell_is_forgotten_within_the_window():
    """A hundred good observations after it, nothing of it is left."""
    spread = Spread([0.9], 1.3)
    for _ in range(100):
        spread.add(3.0)
    assert spread.values[0] == 3.0
    for _ in range(100):
        spread.add(1.1)
    assert spread.values[0] == 1.1


@given(st.lists(st.floats(0, 1e12), max_size=250))
def test_values_stay_in_order_and_within_bounds(observed):
    """A greater share never has a lesser value, and no promise is absurd."""
    spread = Spread([0.5, 0.9, 0.99], 1.3)
    for value in observed:
        spread.add(value)
    assert list(spread.values) == sorted(spread.values)
    assert all(0.5 <= value <= 4.0 for value in spread.values)
    assert len(spread._ordered) == len(spread._recent) <= 100
