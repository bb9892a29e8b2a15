"""Those who hear what happens, of whom one may fail."""

import logging

from router.observe.event import Event, Ticked
from router.observe.fork import Fork


class Hears:
    """One that keeps what it was told, and may fail of it."""

    def __init__(self, error=None):
        self.heard = []
        self._error = error

    def on_event(self, event):
        self.heard.append(event.sequence)
        if self._error is not None:
            raise self._error


def test_what_one_fails_of_the_others_hear_all_the_same(caplog):
    """A charge is not lost because a histogram did not like it, nor does its stream end of that."""
    before, fails, after = Hears(), Hears(ValueError("no such bucket")), Hears()
    fork = Fork((before, None, fails, after))
    with caplog.at_level(logging.ERROR):
        for number in range(5):
            fork.on_event(Event(number, number, Ticked()))
    assert before.heard == fails.heard == after.heard == [0, 1, 2, 3, 4]
    assert fork.failed == 5
    (told,) = caplog.records  # and not one for each
    assert told.getMessage() == "Hears failed of Ticked; 1 failures in all"
    assert "no such bucket" in caplog.text
