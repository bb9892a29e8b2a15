"""The relay is a wire until it is told otherwise, and then fails in exactly the way it is told."""

import asyncio
import contextlib
import time

import pytest

from spillway.local.relay import READ_BYTES_MAX, Link, Relay
from tests.waiting import DEADLINE_S, until


class Echo:
    """A server that sends back what it gets, and counts its connections."""

    def __init__(self):
        self.open = 0
        self.broken = asyncio.Event()

    async def handle(self, reader, writer):
        self.open += 1
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            self.broken.set()
        finally:
            self.open -= 1
            writer.close()


@contextlib.asynccontextmanager
async def relayed(link=None):
    echo = Echo()
    server = await asyncio.start_server(echo.handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with Relay(f"127.0.0.1:{port}", link) as relay:
        reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
        try:
            yield relay, echo, reader, writer
        finally:
            writer.close()
            server.close()


async def answer(reader, writer, data=b"token"):
    """What comes back of some bytes, and after how many seconds: no fewer than the link takes."""
    began_s = time.monotonic()
    writer.write(data)
    async with asyncio.timeout(DEADLINE_S):
        back = await reader.readexactly(len(data))
    return back, time.monotonic() - began_s


@contextlib.asynccontextmanager
async def hears_nothing(*readers):
    """Nothing comes, though whatever was sent before has had its chance to; then it may."""
    reading = [asyncio.create_task(reader.readexactly(4)) for reader in readers]
    async with relayed() as (_, _, reader, writer):
        for _ in range(20):
            await answer(reader, writer)
    assert not any(task.done() for task in reading)
    yield reading
    for task in reading:
        task.cancel()
    await asyncio.gather(*reading, return_exceptions=True)


async def test_bytes_pass_whole_and_in_order():
    """A perfect wire, by default."""
    async with relayed() as (relay, _, reader, writer):
        data = bytes(range(256)) * 4000
        assert (await answer(reader, writer, data))[0] == data
        assert relay.connections == 1


async def test_each_way_is_delayed_and_the_pieces_overlap():
    """A delay adds itself once to a piece, not once for every piece before it.

    Sixty pieces one after the other would take a minute, and longer than an answer may.
    """
    async with relayed(Link(delay_s=1.0)) as (_, _, reader, writer):
        assert (await answer(reader, writer, bytes(60 * READ_BYTES_MAX)))[1] >= 2 * 1.0


async def test_bytes_are_throttled():
    """So many bytes a second, each way."""
    async with relayed(Link(bytes_per_s=100_000)) as (_, _, reader, writer):
        assert (await answer(reader, writer, bytes(10_000)))[1] >= 0.1


async def test_a_loss_holds_up_what_comes_after_it():
    """Everything arrives, a retransmission later."""
    async with relayed(Link(loss=1.0, retransmission_s=0.05)) as (_, _, reader, writer):
        back, took_s = await answer(reader, writer)
        assert back == b"token"
        assert took_s >= 0.1


async def test_a_stall_breaks_nothing_and_ends():
    """Nothing passes, also on a new connection, and all of it does afterwards."""
    async with relayed() as (relay, _, reader, writer):
        relay.stall()
        other_reader, other_writer = await asyncio.open_connection("127.0.0.1", relay.port)
        writer.write(b"late")
        other_writer.write(b"next")
        async with hears_nothing(reader, other_reader) as reading:
            relay.resume()
            async with asyncio.timeout(DEADLINE_S):
                assert await asyncio.gather(*reading) == [b"late", b"next"]
        other_writer.close()


async def test_a_cut_ends_both_sides_in_order():
    """A FIN reaches the client, and the target's end is gone."""
    async with relayed() as (relay, echo, reader, writer):
        await answer(reader, writer)
        relay.cut()
        assert await reader.read(1) == b""
        await until(lambda: not echo.open)
        assert not relay.connections
        assert not echo.broken.is_set()


async def test_a_reset_is_a_reset_on_both_sides():
    """RST, not FIN."""
    async with relayed() as (relay, echo, reader, writer):
        await answer(reader, writer)
        relay.reset()
        with pytest.raises(ConnectionResetError):
            await reader.read(1)
        await asyncio.wait_for(echo.broken.wait(), DEADLINE_S)


async def test_a_half_open_connection_takes_everything_and_says_nothing():
    """The target has lost its end, the client is not told, and a new connection works."""
    async with relayed() as (relay, echo, reader, writer):
        await answer(reader, writer)
        relay.half_open()
        await asyncio.wait_for(echo.broken.wait(), DEADLINE_S)
        writer.write(b"anybody?")
        async with hears_nothing(reader):
            other = await asyncio.open_connection("127.0.0.1", relay.port)
            assert (await answer(*other))[0] == b"token"
            other[1].close()


async def test_a_target_where_nobody_listens_resets():
    """As if there were no relay."""
    async with Relay("127.0.0.1:1") as relay:
        reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
        with pytest.raises(ConnectionResetError):
            await reader.read(1)
        writer.close()


async def test_the_target_can_be_moved():
    """New connections go to the new one."""
    async with relayed() as (relay, _, _, _), relayed() as (other, _, _, _):
        relay.target = other.target
        reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
        assert (await answer(reader, writer))[0] == b"token"
        writer.close()
