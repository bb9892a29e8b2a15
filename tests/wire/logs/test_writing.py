"""Lines are written by a thread, in order; a reader who is slow loses some and delays nobody."""

import io
import json
import logging
import threading

import pytest

from tests.waiting import wait_until
from wire.logs.lines import FIELDS
from wire.logs.writing import Writing, log_lines, requests_log


class Stuck(io.StringIO):
    """Takes nothing until it is let go."""

    def __init__(self):
        super().__init__()
        self.free = threading.Event()

    def write(self, text):
        self.free.wait()
        return super().write(text)


def said(number):
    return logging.LogRecord("a", logging.INFO, "", 0, "%s", (str(number),), None)


def lines(to):
    return [json.loads(line) for line in to.getvalue().splitlines()]


def test_lines_come_in_order():
    """All of them, when it is closed at the latest."""
    to = io.StringIO()
    writing = Writing("json", to)
    for number in range(100):
        writing.emit(said(number))
    writing.close()
    assert [line["message"] for line in lines(to)] == [str(number) for number in range(100)]


def test_what_cannot_wait_is_dropped_and_said_to_be():
    """By the line after it."""
    to = Stuck()
    writing = Writing("json", to, pending_max=4)
    for number in range(20):
        writing.emit(said(number))
    assert writing.dropped >= 15
    to.free.set()
    wait_until(writing._pending.empty)
    writing.emit(said("last"))
    writing.close()
    found = lines(to)
    assert found[-1]["message"] == "last"
    assert sum(line.get("lines", 0) for line in found) == writing.dropped


def test_a_reader_that_has_gone_is_no_matter():
    """Nor is one whose end is closed while lines wait."""
    to = io.StringIO()
    to.close()
    writing = Writing("text", to)
    writing.emit(said(1))
    writing.close()


@pytest.mark.parametrize(("name", "value"), [("msg", "%d"), (FIELDS, ["of", "another", "make"])])
def test_a_record_that_is_none_of_ours_harms_nobody(name, value, monkeypatch):
    """Neither who logs it, nor the lines after it."""
    monkeypatch.setattr(logging, "raiseExceptions", False)
    wrong = said("x")
    setattr(wrong, name, value)
    to = io.StringIO()
    writing = Writing("json", to)
    writing.handle(wrong)
    writing.emit(said("next"))
    writing.close()
    assert [line["message"] for line in lines(to)] == ["next"]


def test_a_process_says_all_in_one_form_and_then_no_longer(capsys):
    """What was logged before is logged still, as lines; requests are, too."""
    with log_lines("json"):
        logging.getLogger("router.live.follower").warning("it is %s", "gone")
        requests_log().info("request")
    found = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["message"] for line in found] == ["it is gone", "request"]
    assert not requests_log().isEnabledFor(logging.INFO)


def test_without_a_form_nothing_changes(capsys):
    """Requests are silent."""
    with log_lines(None):
        requests_log().info("request")
    assert not capsys.readouterr().err
