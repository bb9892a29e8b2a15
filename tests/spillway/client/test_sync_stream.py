"""The synchronous stream gives back what it took, once."""

import pytest

from spillway.client.options import call_of
from spillway.client.placement import broken
from spillway.client.resumption import Resumption
from spillway.client.stream import Started
from spillway.client.sync_stream import SyncStream


class BreaksAtOnce:
    """A source whose calls break before their first message."""

    def __init__(self, resumption):
        self.resumption = resumption
        self.given_back = self.released = 0

    def start(self):
        return Started(self, "a:1", "r", self.resumption, self.give_back)

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

    def pause_s(self, broke, address):
        return 1.0


def test_ctrl_c_in_a_pause_gives_the_connection_back_once(monkeypatch):
    """The count of its calls stays what it is."""

    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("spillway.client.sync_stream.time.sleep", interrupted)
    source = BreaksAtOnce(Resumption(call_of("7", {}, deadline_s=60.0), resume_s=30.0))
    with pytest.raises(KeyboardInterrupt):
        next(SyncStream(source))
    assert (source.given_back, source.released) == (1, 1)
