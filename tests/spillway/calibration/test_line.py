"""A line through measured times."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spillway.calibration.line import fit


@given(st.floats(0, 1e3), st.floats(0, 1e2))
def test_points_on_a_line_give_the_line(base, slope):
    """Whatever it is."""
    points = [(x, base + slope * x + 1e-3) for x in (1.0, 10.0, 100.0, 1_000.0)]
    found = fit(points)
    assert found.base == pytest.approx(base + 1e-3, rel=1e-3, abs=1e-3)
    assert found.slope == pytest.approx(slope, rel=1e-3, abs=1e-6)
    assert found.error < 1e-3


@given(st.lists(st.tuples(st.floats(0, 1e4), st.floats(0.1, 1e9)), min_size=1, max_size=20))
def test_neither_part_is_ever_below_zero(points):
    """A time that falls as prompts grow is noise."""
    found = fit(points)
    assert found.base >= 0
    assert found.slope >= 0


def test_one_point_is_a_base_and_none_is_an_error():
    """There is nothing to tell a slope by."""
    assert fit([(16.0, 20.0)]).base == 20.0
    with pytest.raises(ValueError, match="a line needs a point"):
        fit([])
