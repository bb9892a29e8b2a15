"""What goes down a link fits into the messages that the other side takes."""

from wire.spillway.v1.link_frame import Frame
from wire.spillway.v1.link_pb2 import Open
from wire.spillway.v1.link_session import LinkSession

BYTES_MAX = 10_000


def session(number, details=""):
    one = LinkSession(Open(session=number), 1)
    one.set_details(details)
    return one


def test_an_end_counts_what_it_has():
    """A status may have pages of details; all that waits is what a message of it would be."""
    frame = Frame()
    frame.add(1, b"x" * 100)
    frame.end(session(1, "y" * 2_500))
    assert frame.size >= frame.take(None, leaving=False, bytes_max=BYTES_MAX).ByteSize() > 2_600
    assert frame.size == 0


def test_ends_that_do_not_fit_wait_for_the_next_message():
    """In order, behind the chunks of their sessions, and none is lost."""
    frame = Frame()
    for number in range(1, 41):
        frame.add(number, b"x" * 100)
        frame.end(session(number, "y" * 2_500))
    messages = []
    while frame.size:
        messages.append(frame.take(None, leaving=False, bytes_max=BYTES_MAX))
    assert list(messages[0].sessions) == list(range(1, 41))
    assert [one.session for message in messages for one in message.ended] == list(range(1, 41))
    assert all(message.ByteSize() <= BYTES_MAX for message in messages)


def test_one_end_goes_whatever_its_size():
    """One that no message has room for would wait for ever."""
    frame = Frame()
    frame.end(session(1, "y" * 2 * BYTES_MAX))
    assert len(frame.take(None, leaving=False, bytes_max=BYTES_MAX).ended) == 1
