"""The core in real time."""

from router.live.timed_core import TimedCore
from router.observe.event import ConnectionChanged, EndpointUp, RequestArrived, Started
from router.policy.endpoint import Endpoint
from router.policy.request import Request
from tests.router.live.conftest import HOME, fleet_of


class Kept:
    def __init__(self):
        self.events = []

    def on_event(self, event):
        self.events.append(event)


def core_of(*names):
    kept = Kept()
    core = TimedCore(fleet_of(HOME), "router-1", kept)
    core.start()
    for name in names:
        core.tell(EndpointUp(Endpoint(f"home/{name}", "home", "m")))
        core.tell(ConnectionChanged(f"home/{name}", connected=True))
    return core, kept.events


def test_every_call_is_an_event_in_order():
    core, events = core_of("a")
    decision = core.tell(RequestArrived(Request("r", "m")))
    assert isinstance(events[0].happening, Started)
    assert [event.sequence for event in events] == list(range(len(events)))
    times = [event.now_ns for event in events]
    assert times == sorted(times)
    assert events[-1].decision is decision


def test_explaining_is_no_event_and_takes_no_chance_away():
    """Among equals chance decides, and it decides as was explained."""
    core, events = core_of("a", "b", "c", "d")
    chosen = set()
    for number in range(20):
        request = Request(f"r{number}", "m")
        before = len(events)
        explained = core.explain(request)
        assert core.explain(request).endpoint == explained.endpoint
        assert len(events) == before
        decided = core.tell(RequestArrived(request))
        assert decided.endpoint == explained.endpoint
        chosen.add(decided.endpoint)
    assert len(chosen) > 1
