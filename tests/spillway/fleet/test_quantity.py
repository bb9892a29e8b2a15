"""Quantities carry their unit in the value."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spillway.fleet.quantity import DURATION, SIZE, USD_PER_HOUR


@given(st.integers(0, DURATION.at_most))
def test_a_duration_reads_back_as_it_was_written(ns):
    """Whatever its unit."""
    assert DURATION.read_whole(DURATION.write(ns)) == ns


@given(st.floats(0, 1e6).filter(lambda value: value == 0 or value > 1e-6))
def test_a_rate_reads_back_as_it_was_written(rate):
    """Every digit of it."""
    assert float(USD_PER_HOUR.read(USD_PER_HOUR.write(rate))) == rate


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [(DURATION, 90_000_000_000, "90s"), (SIZE, 1536, "1536B"), (USD_PER_HOUR, 2.5, "2.5 USD/h")],
)
def test_the_largest_whole_unit_is_written(kind, value, text):
    """As a person would write it."""
    assert kind.write(value) == text


@pytest.mark.parametrize("text", ["5", "5 m", "ms", "1e3s", "1_000s", "", 5, None, True, "٣s"])
def test_other_text_is_refused_with_an_example(text):
    """A unit is never guessed."""
    with pytest.raises(ValueError, match="expected a duration such as 250ms"):
        DURATION.read(text)


def test_parts_of_the_smallest_unit_are_refused():
    """Half a byte is no size."""
    assert SIZE.read_whole("0.5KiB") == 512
    with pytest.raises(ValueError, match="whole number of B"):
        SIZE.read_whole("0.5B")
