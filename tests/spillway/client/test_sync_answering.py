"""An answer of the synchronous client waits for its place within its own time."""

import pytest

from spillway.client import DeadlineError
from spillway.client.connections import Connections
from spillway.client.options import call_of
from spillway.client.sync_answering import SyncAnswering
from tests.spillway.client.fake_channel import FakeChannel


class Clock:
    """Stands still until somebody waits."""

    def __init__(self):
        self.now_s = 100.0

    def monotonic(self):
        return self.now_s


@pytest.fixture
def clock(monkeypatch):
    found = Clock()
    monkeypatch.setattr("spillway.client.sync_answering.time", found)
    return found


class Places:
    """One that is free after so many seconds."""

    def __init__(self, clock, free_after_s):
        self.clock = clock
        self.free_after_s = free_after_s
        self.taken = 0

    def acquire(self, timeout):
        self.clock.now_s += min(timeout, self.free_after_s)
        self.taken += timeout >= self.free_after_s
        return timeout >= self.free_after_s

    def release(self):
        self.taken -= 1


def answering(clock, places, channel):
    """An answer that has a minute, of which ten seconds go to the text of its messages."""

    def put(call):
        clock.now_s += 10.0

    connections = Connections(lambda _: channel, "a:1", 1)
    return SyncAnswering(connections, places, put, call_of("", {}, deadline_s=60.0), 30.0)


def test_what_an_answer_waited_is_taken_from_its_time(clock):
    """The deadline is the whole answer's, waiting included."""
    places, channel = Places(clock, 35.0), FakeChannel()
    one = answering(clock, places, channel)
    one.start()
    assert [said["timeout"] for _, said in channel.sent] == [15.0]
    assert places.taken == 1
    one.release()
    one.release()
    assert places.taken == 0


def test_a_place_that_is_free_too_late_is_not_waited_for(clock):
    """None is taken, and none is given back."""
    places, channel = Places(clock, 55.0), FakeChannel()
    one = answering(clock, places, channel)
    with pytest.raises(DeadlineError, match="before the request could be sent"):
        one.start()
    one.release()
    assert (places.taken, channel.sent) == (0, [])
