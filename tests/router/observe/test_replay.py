"""A history that is told again is decided again, identically."""

from dataclasses import replace

import pytest

from router.observe.event import RequestArrived
from router.observe.replay import ReplayError, replay
from tests.router.observe.events import history


def test_a_history_replays_identically():
    assert list(replay(history())) == []


def test_a_decision_that_differs_is_shown():
    """As it was written and as it came out."""
    events = history()
    index = next(i for i, e in enumerate(events) if isinstance(e.happening, RequestArrived))
    true = events[index].decision
    events[index] = replace(events[index], decision=replace(true, endpoint="home/other"))
    (divergence,) = replay(events)
    assert divergence.event.decision.endpoint == "home/other"
    assert divergence.decided == true


def test_another_seed_decides_differently():
    """So the randomness is really in the history."""
    events = history(seed=7)
    events[0] = replace(events[0], happening=replace(events[0].happening, seed=8))
    assert list(replay(events))


def test_a_history_with_a_gap_is_refused():
    events = history()
    with pytest.raises(ReplayError, match="missing between 4 and 6"):
        list(replay(events[:5] + events[6:]))


def test_a_history_without_its_start_is_refused():
    with pytest.raises(ReplayError, match="start"):
        list(replay(history()[1:]))
    with pytest.raises(ReplayError, match="start"):
        list(replay([]))
