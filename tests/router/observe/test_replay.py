"""A history that is told again is decided again, identically."""

import random
from dataclasses import replace

import pytest

from router.observe.event import (
    EndpointUp,
    Event,
    OutcomeSeen,
    RequestArrived,
    RolloutChanged,
    Started,
)
from router.observe.lines import from_line, to_line
from router.observe.replay import ReplayError, replay
from router.observe.tell import tell
from router.policy.core import RouterCore
from router.policy.decision import Send
from router.policy.endpoint import Endpoint
from router.policy.outcome import End, Ended
from router.policy.request import Request
from router.policy.rollout import Rollout
from router.policy.units import NS_PER_MS
from tests.router.observe.events import history
from tests.router.policy import toy


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


def test_a_roll_out_that_is_returned_replays_identically():
    """What the core found follows from the outcomes; what was said of it is an event of its own."""
    rollout = Rollout("chat", "v1", "v2", share=0.5)
    fleet = replace(toy.fleet(), rollouts=(rollout,))
    core, rng, events = RouterCore(fleet), random.Random(3), []

    def happens(happening):
        now_ns = len(events) * NS_PER_MS
        decision = tell(core, happening, now_ns, rng) if events else None
        released = core.release(now_ns, rng) if events else ()
        event = Event(len(events), now_ns, happening, decision, released)
        events.append(from_line(to_line(event)))
        return decision

    happens(Started("router", 0, 3, fleet))
    for version in rollout.versions:
        happens(EndpointUp(Endpoint(version, "home", version)))
    for number in range(60):
        send = happens(RequestArrived(Request(f"r{number}", "chat", session=f"s{number}")))
        while isinstance(send, Send):
            end = End.OK if send.model == "v1" else End.FAILED
            send = happens(OutcomeSeen(Ended(send.request, send.endpoint, end)))
    assert core.snapshot(0).rollouts[0].returned
    happens(RolloutChanged("chat"))
    for number in range(20):
        happens(RequestArrived(Request(f"t{number}", "chat", session=f"t{number}")))
    assert {event.decision.model for event in events[-20:]} == {"v1", "v2"}
    assert list(replay(events)) == []


def test_a_history_without_its_start_is_refused():
    with pytest.raises(ReplayError, match="start"):
        list(replay(history()[1:]))
    with pytest.raises(ReplayError, match="start"):
        list(replay([]))
