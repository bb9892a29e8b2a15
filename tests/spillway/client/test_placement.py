"""What the direct mode of both clients shares: silences, ways, connections."""

from spillway.client.placement import (
    AWAY_S,
    BELIEVED_S,
    ENDPOINTS_MAX,
    EndpointChannels,
    Paths,
    Silence,
)
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
    silence.is_believed = True
    assert silence.left_s(31.9) > 0 >= silence.left_s(32.1)
    silence.moved(31.9)
    silence.listen(31.9)
    assert silence.left_s(32.5) <= 0
    silence.is_believed = True
    assert silence.left_s(31.9 + BELIEVED_S - 0.1) > 0 >= silence.left_s(31.9 + BELIEVED_S + 0.1)


def test_an_endpoint_that_could_not_be_reached_is_left_for_a_while():
    """And after some in a row nobody is asked where else to go."""
    paths = Paths()
    paths.failed("a", 0.0)
    assert not paths.may_try("a", AWAY_S - 1)
    assert paths.may_try("a", AWAY_S)
    assert paths.may_try("b", 0.0)
    paths.reached("b")
    for _ in range(2):
        paths.missed(0.0)
        assert paths.may_ask(0.0)
    paths.missed(0.0)
    assert not paths.may_ask(AWAY_S - 1)
    assert paths.may_ask(AWAY_S)


def test_connections_to_endpoints_are_bounded_and_those_in_use_are_kept():
    """The one that is idle for the longest goes."""
    closed = []
    channels = EndpointChannels(lambda at: [at], closed.extend)
    busy = channels.take("busy")
    for number in range(ENDPOINTS_MAX + 5):
        channels.give_back(channels.take(f"e{number}"))
    assert closed == [f"e{number}" for number in range(6)]
    assert channels.take("busy") is busy
    assert len(channels.clear()) == ENDPOINTS_MAX


def test_a_connection_on_which_nothing_answers_is_replaced():
    """It is closed when the last call on it has been given up."""
    closed = []
    channels = EndpointChannels(lambda at: [at], closed.append)
    deaf = channels.take("a")
    channels.retire("a", deaf)
    fresh = channels.take("a")
    assert fresh is not deaf
    assert closed == []
    channels.give_back(deaf)
    assert closed == [deaf]
    channels.retire("a", deaf)
    assert channels.take("a") is fresh
