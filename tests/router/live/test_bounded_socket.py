"""A listener that has at most so many connections, from the moment they are accepted."""

import asyncio
import contextlib
import socket

from router.live.bounded_socket import BoundedSocket
from tests.waiting import until


@contextlib.asynccontextmanager
async def listening(most):
    """A server that answers each byte, its listener and its address."""
    made = BoundedSocket(socket.AF_INET, most)
    made.bind(("127.0.0.1", 0))

    async def echo(reader, writer):
        with contextlib.suppress(ConnectionError):
            while got := await reader.read(1):
                writer.write(got)
        writer.close()

    server = await asyncio.start_server(echo, sock=made)
    try:
        yield made, made.getsockname()
    finally:
        server.close()
        await server.wait_closed()


async def served(stack, address):
    """Whether one more connection is served; it stays open until the end."""
    reader, writer = await asyncio.open_connection(*address)
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
