"""The surge is sized to the machine: it always asks for more than home's slots can serve."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.demo.story import (
    CALM,
    CALM_AGAIN,
    LOSS,
    PHASES,
    SURGE,
    THINK_S_MEAN,
    Calibration,
    phase_at,
    plan,
)

calibrations = st.builds(
    Calibration,
    idle_ttft_s=st.floats(0.005, 0.8),
    home_slots=st.integers(2, 8),
    alone_tokens_per_s=st.floats(30, 4_000),
    home_tokens_per_s=st.floats(30, 4_000),
    rented_tokens_per_s=st.floats(30, 16_000),
)


def turns_per_s(calibration: Calibration, name: str, duration_s: float) -> float:
    found = [s for s in plan(calibration, random.Random(7)) if s.phase == name]
    return sum(len(session.turns) for session in found) / duration_s


@given(calibrations)
def test_a_turn_keeps_a_slot_for_a_while(calibration: Calibration):
    """Long enough to queue behind, short enough for many turns in a phase."""
    turn_s = calibration.home_slots / calibration.home_turns_per_s
    assert 0.1 <= turn_s <= 4.0


@given(calibrations)
def test_the_objective_lies_between_calm_and_queue(calibration: Calibration):
    """An idle site meets it by far."""
    assert calibration.objective_ttft_s >= 8 * calibration.idle_ttft_s


@given(calibrations)
def test_the_surge_is_too_much_for_home_and_fits_both_sites(calibration: Calibration):
    """Too much even while the rented site is idle; that comes before fitting a slow rented site."""
    both = calibration.home_tokens_per_s + calibration.rented_tokens_per_s
    asked = calibration.surge_load * calibration.home_tokens_per_s
    alone = max(calibration.alone_tokens_per_s, calibration.home_tokens_per_s)
    assert asked >= 2.199 * alone
    assert asked <= 0.801 * both or asked <= 2.201 * alone


@pytest.mark.parametrize("tokens_per_s", [60, 400, 2_000])
def test_the_surge_exceeds_home_and_calm_does_not(tokens_per_s: float):
    """On a fast and on a slow machine, within what chance does to a few dozen sessions."""
    calibration = Calibration(0.05, 4, tokens_per_s, tokens_per_s, 4 * tokens_per_s)
    home = calibration.home_turns_per_s
    assert turns_per_s(calibration, CALM.name, CALM.duration_s) < 0.75 * home
    assert turns_per_s(calibration, CALM_AGAIN.name, CALM_AGAIN.duration_s) < 0.75 * home
    assert turns_per_s(calibration, SURGE.name, SURGE.duration_s) > 1.5 * home
    assert turns_per_s(calibration, LOSS.name, LOSS.duration_s) > 1.2 * home


def test_sessions_come_in_the_order_of_their_offsets():
    """As an open loop drives them."""
    offsets = [s.at_s for s in plan(Calibration(0.05, 4, 400, 400, 1_600), random.Random(1))]
    assert offsets == sorted(offsets)
    assert offsets[-1] < PHASES[-1].ends_s


def test_the_last_phase_goes_on_until_its_streams_end():
    """Later turns of its sessions belong to it."""
    assert phase_at(0.0) is CALM
    assert phase_at(SURGE.begins_s) is SURGE
    assert phase_at(LOSS.ends_s + 10 * THINK_S_MEAN) is LOSS
