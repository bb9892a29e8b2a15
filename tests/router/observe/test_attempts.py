"""What is remembered of attempts, and for how long."""

import pytest

from router.observe.attempts import Attempts
from router.observe.event import Event, OutcomeSeen, RequestArrived, RequestWithdrawn, Ticked
from router.policy.decision import Refuse, Send, Wait
from router.policy.outcome import End, Ended
from router.policy.request import Request
from router.policy.rule import Rule

DIRECT = Request("r", "m", direct=True)
SEND = Send("r", "home/a", "home", Rule.HOME, "chat", 0, ())
WAIT = Wait("r", Rule.OVERLOAD, "", "chat", "", (), 0)
REFUSE = Refuse("r", Rule.OVERLOAD, "", "chat", (), 0)


def remembered(*events):
    """How many are remembered after each of these happenings, decisions and releases."""
    attempts, counts = Attempts(()), []
    for number, (happening, decision, released) in enumerate(events):
        attempts.on_event(Event(number, number, happening, decision, released))
        counts.append(len(attempts))
    return counts


def test_an_attempt_is_remembered_until_it_ends():
    ended = OutcomeSeen(Ended("r", "home/a", End.OK))
    assert remembered((RequestArrived(Request("r", "m")), SEND, ()), (ended, None, ())) == [1, 0]


def test_what_its_client_takes_to_an_endpoint_is_not():
    """No outcome of it ever comes: who remembered it would remember it for good."""
    assert remembered((RequestArrived(DIRECT), SEND, ())) == [0]


@pytest.mark.parametrize(
    ("happening", "released"),
    [(Ticked(), (SEND,)), (Ticked(), (REFUSE,)), (RequestWithdrawn("r"), ())],
)
def test_nor_is_it_once_it_has_waited(happening, released):
    """However its wait came to an end."""
    assert remembered((RequestArrived(DIRECT), WAIT, ()), (happening, None, released)) == [1, 0]
