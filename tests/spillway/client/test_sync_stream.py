"""The synchronous stream gives back what it took, once."""

import threading

import pytest

from spillway.client.attempts import Attempts, Started
from spillway.client.connections import Connections
from spillway.client.options import call_of
from spillway.client.placement import broken
from spillway.client.sync_stream import SyncStream
from tests.waiting import DEADLINE_S


class BreaksAtOnce:
    """An answer whose calls break before their first message."""

    def __init__(self):
        connections = Connections(lambda _: None, "a:1", 1)
        call = call_of("7", {}, deadline_s=60.0)
        self.attempts = Attempts(connections, call, resume_s=30.0, give_up_s=float("inf"))
        self.given_back = self.released = self.cancelled = 0
        self.has_started = False

    def start(self):
        if self.has_started:
            raise ValueError("Cannot invoke RPC on closed channel!")  # as gRPC says
        self.has_started = True
        return Started(self.attempts, self, "a:1", self.give_back)

    def __iter__(self):
        return self

    def __next__(self):
        raise broken("gone")

    def give_back(self):
        self.given_back += 1

    def release(self):
        self.released += 1

    def cancel(self):
        self.cancelled += 1


def test_ctrl_c_in_a_pause_gives_the_connection_back_once(monkeypatch):
    """The count of its calls stays what it is."""

    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("spillway.client.sync_stream.time.sleep", interrupted)
    answering = BreaksAtOnce()
    with pytest.raises(KeyboardInterrupt):
        next(SyncStream(answering))
    assert (answering.given_back, answering.released) == (1, 1)


def test_an_attempt_that_cannot_be_made_leaves_the_count_as_it_is():
    """The one before it has given its connection back, once."""
    answering = BreaksAtOnce()
    with pytest.raises(ValueError, match="closed"):
        next(SyncStream(answering))
    assert (answering.given_back, answering.released) == (1, 1)


class StartsTwice(BreaksAtOnce):
    """The second of its calls begins, while whoever asked for the answer gives it up."""

    def __init__(self):
        super().__init__()
        self.second = BreaksAtOnce()
        self.while_starting = lambda: None

    def start(self):
        if not self.has_started:
            return super().start()
        self.while_starting()
        return self.second.start()


def from_another_thread(cancel):
    thread = threading.Thread(target=cancel)
    thread.start()
    thread.join(DEADLINE_S)
    assert not thread.is_alive()


def test_a_stream_that_is_cancelled_in_a_pause_begins_no_other_attempt(monkeypatch):
    """Nobody would end it."""
    answering = StartsTwice()
    stream = SyncStream(answering)
    monkeypatch.setattr(
        "spillway.client.sync_stream.time.sleep", lambda _: from_another_thread(stream.cancel)
    )
    assert list(stream) == []
    assert not answering.second.has_started
    assert (answering.given_back, answering.released, answering.cancelled) == (1, 1, 1)


def test_an_attempt_that_begins_while_its_stream_is_cancelled_is_ended():
    """And gives its own connection back, not the first one's once more."""
    answering = StartsTwice()
    stream = SyncStream(answering)
    answering.while_starting = lambda: from_another_thread(stream.cancel)
    assert list(stream) == []
    assert (answering.given_back, answering.released, answering.cancelled) == (1, 1, 1)
    assert (answering.second.given_back, answering.second.cancelled) == (1, 1)
