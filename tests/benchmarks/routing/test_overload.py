"""The overload benchmark, on a small load."""

import pytest

from benchmarks.routing.overload import SHAPES, run


def test_four_times_the_load_is_served_as_well_as_one_and_a_half_times():
    """With the queue; a tenant that asks for its share gets it."""
    calm, flood = (run((True, factor), 20, 1) for factor in (1.5, 4.0))
    assert flood.goodput_per_s >= 0.85 * calm.goodput_per_s
    assert flood.quiet_in_time > 0.97
    assert flood.waiting_max < 400


@pytest.mark.parametrize("shape", ["mixed", "bursts", "long prompts"])
def test_whatever_is_asked_for_ten_times_the_load_is_served_as_well(shape):
    """Goodput does not fall when the load does not stop growing, and what is answered is kept."""
    calm, flood = (run((True, factor), 25, 3, SHAPES[shape]) for factor in (2.0, 10.0))
    assert flood.goodput_per_s >= 0.9 * calm.goodput_per_s
    assert flood.goodput_per_s >= 0.9 * flood.answered_per_s


def test_who_asks_for_its_share_is_not_refused_for_a_flood_of_long_answers():
    """Engines that fill at once take nobody for a while: later comers do not pay for it."""
    flood = run((True, 10.0), 85, 1, SHAPES["long answers"])
    assert flood.quiet_in_time > 0.9
    assert flood.goodput_per_s >= 0.9 * flood.answered_per_s


def test_without_the_queue_it_is_not():
    """Which is what the queue is for."""
    flood = run((False, 4.0), 20, 1)
    assert flood.goodput_per_s < 5.0
