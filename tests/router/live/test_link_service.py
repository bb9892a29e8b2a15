"""A router serves links to the one above it, and answers sessions as it answers calls."""

import asyncio
import contextlib

import grpc
import pytest

from tests.linking import STREAMED, WINDOW, Router, hello, opened
from tests.router.live.conftest import address, ask, at_rest, engine, route
from tests.router.live.counting import counted_on
from tests.router.live.transport import TRANSPORT
from tests.waiting import until
from wire.spillway.v1.link import METADATA_BYTES_MAX
from wire.spillway.v1.link_pb2 import Header, Up


@pytest.fixture(autouse=True)
def linked(monkeypatch):
    """Every stream of these tests goes over a link."""
    monkeypatch.setattr(TRANSPORT, "name", "link")


def at(routed):
    """Where a router listens."""
    return f"127.0.0.1:{routed.router.port}"


@contextlib.asynccontextmanager
async def link_to(routed, first=None):
    """A link to a router, by hand."""
    async with grpc.aio.insecure_channel(at(routed), options=WINDOW) as channel:
        above = Router(channel.stream_stream(STREAMED)())
        await above.say(first if first is not None else Up(hello=hello()))
        yield above
        above.call.cancel()


async def test_the_streams_of_the_router_above_are_sessions_of_one_link():
    """And its load reports come with them: nothing else is open between the two."""
    async with (
        engine(itl_s=0.01) as server,
        route({"home": [address(server)]}) as below,
        route({"cloud": [at(below)]}) as above,
    ):
        (endpoint,) = above.router._roster
        long = [above.inference.GenerateStream(ask(str(n), 10_000)) for n in range(20)]
        await until(lambda: endpoint.link.sessions == 20)
        await until(lambda: endpoint.follower.load.last.running_requests == 20)
        short = [above.stream(ask(str(n), 100)) for n in range(20)]
        for number, messages in enumerate(await asyncio.gather(*short)):
            text = "".join(message.outputs.text for message in messages)
            assert text == counted_on(str(number), 100)
        assert endpoint.follower.load._is_brought
        for call in long:
            call.cancel()
        await at_rest(above)
        await at_rest(below, server)


async def test_a_step_of_an_engine_is_one_message_at_each_level():
    """However many sessions it had tokens for."""
    async with (
        engine(itl_s=0.05, steps=True) as server,
        route({"home": [address(server)]}) as below,
        link_to(below) as above,
    ):
        await above.say(Up(opened=[opened(n, str(n), tokens=20) for n in range(1, 33)]))
        await above.until(lambda: len(above.ended) == 32)
        steps = [down for down in above.frames if down.sessions]
        # A busy machine skips steps and splits some; a message for each session would be 32 a step.
        assert sum(len(down.sessions) for down in steps) >= 8 * len(steps)


async def test_a_session_ends_with_what_its_call_would_have_said():
    """Trailers of this router, and the status of what is wrong with a request."""
    async with (
        engine(itl_s=0) as server,
        route({"home": [address(server)]}) as below,
        link_to(below) as above,
    ):
        bad = opened(2)
        bad.request = b"\xff"
        long = [Header(key="x-spillway-slo", value=b"7" * (METADATA_BYTES_MAX + 1))]
        await above.say(Up(opened=[opened(1), bad, opened(3, metadata=long)]))
        await above.until(lambda: len(above.ended) == 3)
        trailers = {one.key: one.value.decode() for one in above.ended[1].trailers}
        assert trailers["x-spillway-endpoint"] == f"home/{address(server)}"
        invalid = grpc.StatusCode.INVALID_ARGUMENT.value[0]
        assert [above.ended[n].code for n in (1, 2, 3)] == [0, invalid, invalid]
        assert "opened.metadata" in above.ended[3].message


async def test_a_session_that_is_over_above_is_over_at_the_engine():
    """Cancelled by its client, or out of time."""
    async with (
        engine(itl_s=0.02) as server,
        route({"home": [address(server)]}) as below,
        route({"cloud": [at(below)]}) as above,
        link_to(below) as by_hand,
    ):
        call = above.inference.GenerateStream(ask("7", 10_000))
        await call.read()
        await by_hand.say(Up(opened=[opened(1, tokens=10_000, timeout_us=100_000)]))
        await by_hand.until(lambda: by_hand.ended)
        assert by_hand.ended[1].code == grpc.StatusCode.DEADLINE_EXCEEDED.value[0]
        await until(lambda: server.replica.in_flight == 1)
        call.cancel()
        await at_rest(above)
        await at_rest(below, server)


async def test_a_router_that_drains_says_so_on_its_links():
    """Streams end where they are, new ones go elsewhere, and the link is closed behind the last."""
    async with (
        engine(itl_s=0.02) as one,
        engine(itl_s=0) as two,
        route({"home": [address(one)]}) as below,
        route({"home": [at(below)], "cloud": [address(two)]}) as above,
    ):
        first = next(e for e in above.router._roster if e.address == at(below))
        call = above.inference.GenerateStream(ask("7", 60))
        begun = await call.read()
        draining = asyncio.create_task(below.router.drain())
        await until(lambda: not first.link.stands)
        messages = await above.stream(ask("41", 3))
        assert "".join(m.outputs.text for m in messages) == counted_on("41", 3)
        text = begun.outputs.text
        while (message := await call.read()) is not grpc.aio.EOF:
            text += message.outputs.text
        assert text == counted_on("7", 60)
        await draining


async def test_a_link_to_a_router_begins_with_a_hello():
    """Any other beginning is refused, as a replica refuses it."""
    async with (
        engine(itl_s=0) as server,
        route({"home": [address(server)]}) as below,
        link_to(below, Up(opened=[opened(1)])) as above,
    ):
        code, details = await above.end()
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert details.startswith("hello")
