"""The core in real time."""

import asyncio

import pytest

from router.live.timed_core import TimedCore
from router.observe.event import (
    ConnectionChanged,
    EndpointUp,
    LoadHeard,
    OutcomeSeen,
    RequestArrived,
    Started,
)
from router.policy.decision import Send, Wait
from router.policy.endpoint import Endpoint
from router.policy.load import LoadReport
from router.policy.outcome import End, Ended
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


@pytest.mark.parametrize("direct", [False, True])
async def test_what_is_released_to_a_client_that_has_gone_is_given_back(direct):
    """A place as well: its lease is settled, and not one that nobody used."""
    core, _ = core_of("a")
    core.tell(LoadHeard(LoadReport("home/a", "1", 1, running_max=1)))
    sent = [core.tell(RequestArrived(Request("r0", "m")))]
    while isinstance(sent[-1], Send):
        sent.append(core.tell(RequestArrived(Request(f"r{len(sent)}", "m"))))
    last = core.tell(RequestArrived(Request("last", "m", direct=direct)))
    assert isinstance(last, Wait)
    task = asyncio.create_task(core.released("last", direct=direct))
    first = asyncio.create_task(core.released(sent[-1].request))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    for one in sent[:-1]:
        core.tell(OutcomeSeen(Ended(one.request, "home/a", End.CANCELLED)))
    task.cancel()  # in the moment in which it is released
    await asyncio.wait([task])
    assert task.cancelled()
    state = core.snapshot()
    assert (state.open_streams, state.leases.open, state.leases.lapsed) == (0, 0, 0)
    assert state.leases.placed == direct
