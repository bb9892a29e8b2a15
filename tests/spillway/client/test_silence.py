"""When a stream from an endpoint has been silent for too long."""

import pytest

from spillway.client.silence import BELIEVED_S, Silence
from wire.spillway.v1.fleet_pb2 import Placement

PLACEMENT = Placement(first_token_s=2.0, silence_s=0.5)


def test_a_silence_counts_while_somebody_listens():
    """A client that does other things makes no endpoint silent."""
    silence = Silence(PLACEMENT, 0.0)
    assert silence.left_s(100.0) > 0
    silence.listen(100.0)
    assert silence.left_s(101.9) > 0 >= silence.left_s(102.1)


def test_an_engine_that_slows_down_is_waited_for_longer():
    """By gaps that each end by themselves."""
    silence, now_s = Silence(PLACEMENT, 0.0), 0.0
    for gap_s in (1.0, 0.1, 0.2, 0.4):
        silence.listen(now_s)
        now_s += gap_s
        silence.moved(now_s)
    silence.listen(now_s)
    assert silence.left_s(now_s + 0.9) > 0 >= silence.left_s(now_s + 2.0)


def test_one_that_answers_gets_some_times_the_patience():
    """Until its next message: then it is like any other."""
    silence = Silence(PLACEMENT, 0.0)
    silence.listen(0.0)
    silence.believe()
    assert silence.left_s(31.9) > 0 >= silence.left_s(32.1)
    silence.moved(31.9)
    silence.listen(31.9)
    assert silence.left_s(32.5) <= 0
    silence.believe()
    assert silence.left_s(31.9 + BELIEVED_S - 0.1) > 0 >= silence.left_s(31.9 + BELIEVED_S + 0.1)


def test_a_silence_after_the_first_message_is_not_noticed_as_late_as_one_before_it():
    """Whoever waits for the first message looks in between: it may come soon."""
    silence = Silence(PLACEMENT, 0.0)
    silence.listen(0.0)
    assert silence.look_s(0.0) == 0.5
    assert silence.look_s(1.9) == pytest.approx(silence.left_s(1.9))
    silence.moved(1.95)
    silence.listen(1.95)
    assert silence.look_s(1.95) == pytest.approx(0.5)
    assert silence.look_s(2.5) <= 0.0
