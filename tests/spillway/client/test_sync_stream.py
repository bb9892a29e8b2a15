"""The synchronous stream gives back what it took, once."""

import pytest

from spillway.client.attempts import Attempts, Started
from spillway.client.connections import Connections
from spillway.client.options import call_of
from spillway.client.placement import broken
from spillway.client.sync_stream import SyncStream


class BreaksAtOnce:
    """An answer whose calls break before their first message."""

    def __init__(self):
        connections = Connections(lambda _: None, "a:1", 1)
        call = call_of("7", {}, deadline_s=60.0)
        self.attempts = Attempts(connections, call, resume_s=30.0, give_up_s=float("inf"))
        self.given_back = self.released = 0
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
        pass


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
