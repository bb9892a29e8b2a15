"""A listener that has at most so many connections, from the moment they are accepted."""

import asyncio
import contextlib
import socket

import pytest

from router.live.bounded_socket import BoundedSocket, _origin
from tests.waiting import until


@contextlib.asynccontextmanager
async def listening(most, of_address=1_000):
    """A server that answers each byte, its listener and its address."""
    made = BoundedSocket(socket.AF_INET, most, of_address)
    made.bind(("0.0.0.0", 0))

    async def echo(reader, writer):
        with contextlib.suppress(ConnectionError):
            while got := await reader.read(1):
                writer.write(got)
        writer.close()

    server = await asyncio.start_server(echo, sock=made)
    try:
        yield made, ("127.0.0.1", made.getsockname()[1])
    finally:
        server.close()
        await server.wait_closed()


async def served(stack, address, origin=None):
    """Whether one more connection is served; it stays open until the end."""
    reader, writer = await asyncio.open_connection(*address, local_addr=origin)
    stack.callback(writer.close)
    with contextlib.suppress(ConnectionError):
        writer.write(b"x")
        return await reader.read(1) == b"x"
    return False


async def test_what_comes_beyond_the_most_is_closed_and_a_place_is_free_with_its_connection():
    """Many more than are closed in one go, too; those that are there are served all the while."""
    async with listening(3) as (listener, address):
        with contextlib.ExitStack() as opened:
            assert [await served(opened, address) for _ in range(3)] == [True] * 3
            assert [await served(opened, address) for _ in range(250)] == [False] * 250
            assert listener.connections == 3
        await until(lambda: not listener.connections)
        with contextlib.ExitStack() as opened:
            assert await served(opened, address)
        await until(lambda: not listener.connections)


async def test_one_address_has_a_part_of_the_places_and_others_the_rest():
    """However often it comes; its places are free again with its connections."""
    here, elsewhere = ("127.0.0.1", 0), ("127.0.0.2", 0)
    async with listening(10, of_address=3) as (listener, address):
        with contextlib.ExitStack() as opened:
            assert [await served(opened, address, here) for _ in range(3)] == [True] * 3
            assert [await served(opened, address, here) for _ in range(120)] == [False] * 120
            assert [await served(opened, address, elsewhere) for _ in range(4)] == [True] * 3 + [
                False
            ]
        await until(lambda: not listener.connections)
        assert not listener._by_origin
        with contextlib.ExitStack() as opened:
            assert await served(opened, address, here)
        await until(lambda: not listener.connections)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("10.0.0.1", "10.0.0.2", False),
        ("10.0.0.1", "::ffff:10.0.0.1", True),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("no address", "another", False),
    ],
)
def test_an_origin_is_an_address_or_the_network_of_one_machine(one, other, same):
    """Of IPv6 a machine has 2 to the 64 addresses, and no more places for that."""
    assert (_origin((one, 1)) == _origin((other, 2))) is same
