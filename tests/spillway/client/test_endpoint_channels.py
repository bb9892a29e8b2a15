"""Connections to endpoints: how many, and when they are closed."""

import gc

import pytest

from spillway.client.endpoint_channels import ENDPOINTS_MAX, EndpointChannels
from spillway.client.errors import CancelledError
from tests.spillway.client.collected import Collected, ends


def test_connections_to_endpoints_are_bounded_and_those_in_use_are_kept():
    """The one that is idle for the longest goes."""
    closed = []
    channels = EndpointChannels(lambda at: [at], closed.extend)
    busy = channels.take("busy")
    for number in range(ENDPOINTS_MAX + 5):
        channels.give_back(channels.take(f"e{number}"))
    assert closed == [f"e{number}" for number in range(6)]
    assert channels.take("busy") is busy
    assert len(channels.close()) == ENDPOINTS_MAX


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


def test_a_connection_that_is_retired_when_its_last_call_has_ended_is_closed_at_once():
    """The thread that watches a call may be later than the call."""
    closed = []
    channels = EndpointChannels(lambda at: [at], closed.append)
    deaf = channels.take("a")
    channels.give_back(deaf)
    channels.retire("a", deaf)
    assert closed == [deaf]
    assert channels.close() == []


def test_a_stream_that_is_collected_while_a_channel_opens_gives_its_own_back():
    """The collector runs in the middle of anything, and in the same thread."""
    channels = EndpointChannels(lambda at: [at, gc.collect()], lambda _: None)
    held = channels.take("a")
    Collected(lambda: channels.give_back(held))
    ends(lambda: channels.take("b"))
    assert list(channels._calls.values()) == [1]


def test_no_connection_opens_once_they_are_closed():
    """A request that has its placement by then would open one that nobody closes."""
    opened = []
    channels = EndpointChannels(lambda at: opened.append(at) or at, lambda _: None)
    channels.give_back(channels.take("a"))
    assert channels.close() == ["a"]
    with pytest.raises(CancelledError):
        channels.take("a")
    assert opened == ["a"]
