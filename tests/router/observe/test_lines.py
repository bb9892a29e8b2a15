"""Events as lines of JSON."""

import json

import pytest

from router.observe.lines import LineError, from_line, to_line
from router.policy.decision import Send
from tests.router.observe.events import history


def test_every_kind_of_event_comes_back_the_same():
    events = history()
    assert [from_line(to_line(event)) for event in events] == events


def test_a_line_can_be_read_by_people():
    """One line, with the rule, the reason and each candidate's figures by name."""
    event = next(event for event in history() if isinstance(event.decision, Send))
    line = to_line(event)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    written = json.loads(line)
    assert written["kind"] == "request"
    assert written["decision"]["rule"] == event.decision.rule.value
    assert written["decision"]["reason"] == event.decision.reason
    assert written["decision"]["candidates"][0]["network_ns"] >= 0


@pytest.mark.parametrize("line", [b"", b"x", b"[]", b'{"kind":"none"}', b"\xff", b'{"kind":[]}'])
def test_what_is_no_event_is_one_error(line):
    with pytest.raises(LineError):
        from_line(line)
