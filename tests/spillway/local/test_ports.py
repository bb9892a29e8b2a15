"""Two local fleets never share a port, and a port that is taken is said to be."""

import itertools
import random
import socket

import pytest

from spillway.local.ports import (
    BLOCK_PORTS,
    PortsError,
    grid,
    hold,
    is_free,
    take_block,
)


def listener(port: int = 0) -> socket.socket:
    held = socket.socket()
    held.bind(("127.0.0.1", port))
    held.listen()
    return held


def test_a_block_is_not_given_twice():
    """Even while nothing listens on the first one's ports yet."""
    with take_block(random.Random(1)) as first, take_block(random.Random(1)) as second:
        assert first.first != second.first


def test_a_block_with_one_port_in_use_is_passed_over():
    """A server of somebody else's on the loopback interface is enough."""
    with take_block(random.Random(2)) as block:
        first = block.first
    with listener(first + 77), pytest.raises(PortsError):
        take_block(random.Random(2), [first])


def test_a_released_block_can_be_had_again():
    """Its guard port is closed."""
    with take_block(random.Random(3)) as block:
        first = block.first
        assert not is_free(first)
    with take_block(random.Random(3), [first]) as again:
        assert again.first == first


def test_blocks_do_not_touch():
    """They lie on a grid below the ports of outgoing connections."""
    firsts = grid()
    assert all(b - a == BLOCK_PORTS for a, b in itertools.pairwise(firsts))
    assert firsts[-1] + BLOCK_PORTS <= 32_768


@pytest.mark.parametrize("place", [-1, 0, BLOCK_PORTS])
def test_places_outside_the_block_are_refused(place: int):
    """The guard's own place among them."""
    with take_block(random.Random(4)) as block, pytest.raises(IndexError):
        block.port(place)


def test_a_chosen_port_in_use_is_refused_with_advice():
    """The sentence names the port."""
    with listener() as held:
        port = held.getsockname()[1]
        with pytest.raises(PortsError, match=f"Port {port} is in use"):
            hold(f"127.0.0.1:{port}")


def test_a_chosen_port_is_held_until_it_is_needed():
    """Of two fleets that start at the same time, the second hears of it at once."""
    with take_block(random.Random(5)) as block:
        address = f"127.0.0.1:{block.port(1)}"
        with hold(address), pytest.raises(PortsError):
            hold(address)
        hold(address).close()
