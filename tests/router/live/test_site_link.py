"""Site links from the router's side: what goes over them, and endpoints that misuse them."""

import asyncio
import contextlib
import dataclasses

import grpc
import pytest

from spillway.local.relay import Relay
from tests.router.live.conftest import SETTINGS, address, ask, engine, pace, route
from tests.router.live.counting import counted_on
from tests.router.live.scripted import Scripted, error_of, message, says, scripted
from tests.router.live.scripted_link import ScriptedLink
from tests.router.live.transport import TRANSPORT
from tests.waiting import until
from wire.spillway.v1.link_pb2 import Down
from wire.spillway.v1.load_pb2 import LoadReport

REPORT = LoadReport(instance_id="rogue", link=True)


@pytest.fixture(autouse=True)
def linked(monkeypatch):
    """Every stream of these tests goes over a link, where the endpoint has one."""
    monkeypatch.setattr(TRANSPORT, "name", "link")


def endpoint_of(routed):
    """The one endpoint of a router."""
    (endpoint,) = routed.router._roster
    return endpoint


def text_of(messages):
    return "".join(one.outputs.text for one in messages)


class Rogue(ScriptedLink):
    """Says on links what its script says: an async generator over what was opened."""

    def __init__(self, script):
        super().__init__(None)
        self._script = script
        self.ups = []
        self.links = 0

    async def Connect(self, messages, _context):
        self.links += 1
        yield Down(load=REPORT)

        async def opened():
            async for up in messages:
                self.ups.append(up)
                for one in up.opened:
                    yield one

        async for down in self._script(opened()):
            yield down


@contextlib.asynccontextmanager
async def rogue(script):
    """An endpoint whose links follow a script; a call of its own it answers with "called"."""
    server, link = Scripted(says("called")), Rogue(script)
    server.links = link
    await server.start()
    try:
        yield server
    finally:
        await server.die()


async def test_streams_share_one_link_and_their_reports_come_with_it():
    """No stream of its own is left to watch the load."""
    async with engine(itl_s=0.01) as server, route({"home": [address(server)]}) as routed:
        link = endpoint_of(routed).link
        running = [asyncio.create_task(routed.stream(ask(str(n), 200))) for n in range(20)]
        await until(lambda: link.sessions == 20)
        assert {text_of(messages) for messages in await asyncio.gather(*running)} == {
            counted_on(str(n), 200) for n in range(20)
        }
        assert link.sessions == 0
        await until(lambda: len(server.replica.board._watchers) == 1)


async def test_a_client_that_does_not_read_holds_up_nobody():
    """Its endpoint stops at the credit; the others of the link go on."""
    async with (
        engine(itl_s=0, max_model_len=2_000_000) as server,
        route({"home": [address(server)]}) as routed,
    ):
        slow = routed.inference.GenerateStream(ask("1", 1_000_000))
        await slow.read()
        await until(lambda: server.replica.in_flight == 1)
        (turn,) = routed.router._inference.turns
        await until(lambda: turn.attempt.is_writing)
        for number in range(5):
            assert text_of(await routed.stream(ask(str(number), 400))) == counted_on(
                str(number), 400
            )
        generated = server.replica.engine.load().generated_tokens
        await routed.stream(ask("7", 200))
        assert server.replica.engine.load().generated_tokens - generated < 2_000
        slow.cancel()
        await until(lambda: server.replica.in_flight == 0)


async def test_what_comes_for_a_session_that_ended_is_dropped():
    """And for one that never was."""

    async def script(opened):
        async for one in opened:
            chunks = [message("a"), message("x"), message("b", 2), message("late")]
            yield Down(sessions=[one.session, 77, one.session, 88], chunks=chunks)
            yield Down(ended=[{"session": one.session}, {"session": 99}])
            yield Down(sessions=[one.session], chunks=[message("later")])

    async with rogue(script) as server, route({"home": [server.address]}) as routed:
        for _ in range(3):
            assert text_of(await routed.stream(ask())) == "ab"
        assert server.links.links == 1


@pytest.mark.parametrize(
    "bad",
    [b"\xff\xff\xff", Down(sessions=[1], chunks=[]).SerializeToString()],
    ids=["no message", "a chunk short"],
)
async def test_an_endpoint_that_breaks_the_rules_is_used_without_a_link(bad):
    """The streams of the link have failed; what comes next is asked for by calls."""

    class Raw:
        def SerializeToString(self):
            return bad

    async def script(opened):
        async for _ in opened:
            yield Raw()

    async with rogue(script) as server, route({"home": [server.address]}) as routed:
        error, _ = await error_of(routed.inference.GenerateStream(ask()))
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert endpoint_of(routed).link.sessions is None
        assert text_of(await routed.stream(ask())) == "called"
        assert server.links.links == 1


async def test_more_than_the_credit_ends_a_session_and_no_other():
    """It cannot fill this router's memory."""
    flood = message("x" * 30_000)

    async def script(opened):
        first = await anext(opened)
        yield Down(sessions=[first.session] * 40, chunks=[flood] * 40)
        async for one in opened:
            yield Down(sessions=[one.session], chunks=[message("well", 1)])
            yield Down(ended=[{"session": one.session}])

    async with rogue(script) as server, route({"home": [server.address]}) as routed:
        error, seen = await error_of(routed.inference.GenerateStream(ask()))
        assert error.code() is grpc.StatusCode.ABORTED
        assert "credit" in error.details()
        assert len(seen) <= 3
        assert text_of(await routed.stream(ask())) == "well"


async def test_a_long_answer_is_credited_as_it_is_read():
    """Many times the credit passes, and is counted on both sides alike."""
    async with (
        engine(itl_s=0, max_model_len=40_000) as server,
        route({"home": [address(server)]}) as routed,
    ):
        messages = await routed.stream(ask("1", 20_000))
        assert text_of(messages) == counted_on("1", 20_000)


async def test_a_large_request_goes_its_own_way():
    """On the link all others would wait behind it."""
    async with (
        engine(itl_s=0, max_model_len=500_000) as server,
        route({"home": [address(server)]}) as routed,
    ):
        link = endpoint_of(routed).link
        running = asyncio.create_task(routed.stream(ask("7" * 300_000, 20)))
        await until(lambda: server.replica.in_flight == 1)
        assert link.sessions == 0
        assert sum(one.outputs.num_tokens for one in await running) == 20


async def test_a_link_that_is_cut_ends_every_session_and_they_go_on():
    """In the middle of a frame, too: elsewhere, or here on a new connection."""
    async with engine(itl_s=0.01) as server:
        relay = Relay(address(server))
        await relay.start()
        try:
            async with route({"home": [relay.address]}) as routed:
                running = [asyncio.create_task(routed.stream(ask(str(n), 200))) for n in range(8)]
                await until(lambda: server.replica.in_flight == 8)
                turns = routed.router._inference.turns
                await until(lambda: all(turn.attempt.messages > 5 for turn in turns))
                pace(server, itl_s=0)
                relay.reset()
                for number, messages in enumerate(await asyncio.gather(*running)):
                    assert text_of(messages) == counted_on(str(number), 200)
                await until(lambda: endpoint_of(routed).link.stands)
                assert text_of(await routed.stream(ask("7"))) == counted_on("7", 5)
        finally:
            await relay.close()


async def test_a_replica_that_drains_is_left_by_its_link():
    """New streams go elsewhere, those that run end there, and the link is closed after them."""
    async with (
        engine(itl_s=0.03) as one,
        engine(itl_s=0) as two,
        route({"home": [address(one)], "cloud": [address(two)]}) as routed,
    ):
        running = asyncio.create_task(routed.stream(ask("7", 100)))
        await until(lambda: one.replica.in_flight == 1)
        one.replica.board.drain()
        left = routed.router._roster.get(f"home/{address(one)}").link
        await until(lambda: not left.stands)
        assert left.sessions == 1
        assert text_of(await routed.stream(ask("8"))) == counted_on("8", 5)
        assert one.replica.in_flight == 1
        assert text_of(await running) == counted_on("7", 100)
        await until(lambda: left.sessions is None)


async def test_a_plain_server_is_asked_call_by_call(monkeypatch):
    """It says nothing of links, and is not asked for one."""
    monkeypatch.setattr(TRANSPORT, "name", "auto")
    async with scripted(says("a", "b")) as server, route({"home": [server.address]}) as routed:
        assert text_of(await routed.stream(ask())) == "ab"
        assert "/spillway.v1.Link/Connect" not in server.unserved.methods


async def test_links_can_be_switched_off(monkeypatch):
    """Then an endpoint that offers one is asked call by call, and its load is watched."""
    monkeypatch.setattr(TRANSPORT, "name", "calls")
    async with engine(itl_s=0) as server, route({"home": [address(server)]}) as routed:
        await routed.state_where(lambda state: state.sites[0].endpoints[0].report_age_s >= 0)
        assert text_of(await routed.stream(ask("7"))) == counted_on("7", 5)
        assert endpoint_of(routed).link.sessions is None


async def test_an_endpoint_that_only_says_it_has_links_is_used_without():
    """UNIMPLEMENTED is believed."""
    server = Scripted(says("called"))
    liar = ScriptedLink(None)
    services = liar.services()
    services.pop("spillway.v1.Link")
    server.links = type("Liar", (), {"services": lambda _: services})()
    TRANSPORT.name = "auto"
    await server.start()
    try:
        async with route({"home": [server.address]}) as routed:
            await until(lambda: "/spillway.v1.Link/Connect" in server.unserved.methods)
            assert text_of(await routed.stream(ask())) == "called"
    finally:
        await server.die()


async def test_a_deadline_ends_a_session_on_both_sides():
    """The client's, which the endpoint is told."""
    async with engine(itl_s=0.01) as server, route({"home": [address(server)]}) as routed:
        call = routed.inference.GenerateStream(ask("7", 10_000), timeout=0.4)
        error, _ = await error_of(call)
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await until(lambda: server.replica.in_flight == 0)
        assert endpoint_of(routed).link.sessions == 0


async def test_a_deadline_that_nobody_else_keeps_is_kept_here():
    """The endpoint has forgotten it, and the client set none."""

    async def silent(opened):
        async for _ in opened:
            pass
        yield Down()

    settings = dataclasses.replace(SETTINGS, default_deadline_s=0.4)
    async with rogue(silent) as server, route({"home": [server.address]}, settings) as routed:
        error, _ = await error_of(routed.inference.GenerateStream(ask()))
        assert error.code() in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE)
        await until(lambda: any(up.cancelled for up in server.links.ups))


async def test_hundreds_of_streams_go_over_one_link():
    """Each with its own answer, and nothing is left of them."""
    async with (
        engine(itl_s=0.02, max_running=512, requests_max=512, steps=True) as server,
        route({"home": [address(server)]}) as routed,
    ):
        running = [routed.stream(ask(str(n), 4)) for n in range(400)]
        for number, messages in enumerate(await asyncio.gather(*running)):
            assert text_of(messages) == counted_on(str(number), 4)
        assert endpoint_of(routed).link.sessions == 0
