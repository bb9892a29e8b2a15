"""The replica's side of a link: what comes down for what goes up, and what no router may do."""

import asyncio
import contextlib

import grpc
import pytest

from serving.fake_engine import FakeEngine, FakeSettings
from serving.standalone import serve_standalone
from tests.linking import STREAMED, WINDOW, Router, hello, opened
from tests.waiting import DEADLINE_S, until
from wire.spillway.v1.link_pb2 import Header, Open, Up
from wire.spillway.v1.link_server import FRAME_BYTES_MAX
from wire.vllm.inference_pb2 import GenerateRequest


@contextlib.asynccontextmanager
async def linked(first=None, **settings):
    """A link to a fake engine's replica, and the server behind it."""
    requests_max = settings.pop("requests_max", 64)
    server = await serve_standalone(FakeEngine(FakeSettings(**settings)), requests_max=requests_max)
    try:
        address = f"127.0.0.1:{server.port}"
        async with grpc.aio.insecure_channel(address, options=WINDOW) as channel:
            router = Router(channel.stream_stream(STREAMED)())
            await router.say(first if first is not None else Up(hello=hello()))
            yield router, server
            router.call.cancel()
    finally:
        await server.stop()


async def test_sessions_get_their_own_answers_and_ends():
    """As calls would: text, the last message's counts, and a status."""
    async with linked(itl_s=0) as (router, _):
        await router.say(Up(opened=[opened(1, "7"), opened(2, "41")]))
        await router.until(lambda: len(router.ended) == 2)
        assert router.texts == {1: " 8 9 ", 2: " 42 4"}
        assert [ended.code for ended in router.ended.values()] == [0, 0]


async def test_the_first_frame_is_a_load_report():
    """A router knows by it that the link stands."""
    async with linked() as (router, server):
        down = await router.hear()
        assert down.load.instance_id == server.replica.board.instance_id
        assert down.load.link
        assert not down.chunks


async def test_a_step_is_one_message_with_its_load():
    """However many sessions it had tokens for."""
    async with linked(itl_s=0.05, steps=True) as (router, _):
        await router.say(Up(opened=[opened(n, str(n), tokens=20) for n in range(1, 33)]))
        await router.until(lambda: len(router.ended) == 32)
        steps = [down for down in router.frames if down.sessions]
        # A busy machine skips steps and splits some; a message for each session would be 32 a step.
        assert sum(len(down.sessions) for down in steps) >= 8 * len(steps)
        assert any(down.HasField("load") for down in router.frames if down.sessions)


async def test_what_a_request_gets_wrong_ends_its_session_alone():
    """With the status that a call would have had, details included."""
    async with linked(itl_s=0) as (router, _):
        await router.say(Up(opened=[opened(1, ""), Open(session=2, request=b"\xff"), opened(3)]))
        await router.until(lambda: len(router.ended) == 3)
        invalid = grpc.StatusCode.INVALID_ARGUMENT.value[0]
        assert [router.ended[n].code for n in (1, 2, 3)] == [invalid, invalid, 0]
        assert router.ended[1].message == "text: must not be empty"
        assert [header.key for header in router.ended[1].trailers] == ["grpc-status-details-bin"]


async def test_metadata_reaches_the_handler():
    """A bad resume header is refused by its name."""
    bad = [Header(key="x-spillway-resume", value=b"many")]
    async with linked(itl_s=0) as (router, _):
        await router.say(Up(opened=[opened(1, metadata=bad)]))
        await router.until(lambda: router.ended)
        assert "x-spillway-resume" in router.ended[1].message


async def test_a_deadline_is_kept_here():
    """Also when the router does not come back to say so."""
    async with linked(itl_s=0.01) as (router, server):
        await router.say(Up(opened=[opened(1, tokens=10_000, timeout_us=100_000)]))
        await router.until(lambda: router.ended)
        assert router.ended[1].code == grpc.StatusCode.DEADLINE_EXCEEDED.value[0]
        assert server.replica.in_flight == 0


async def test_a_cancelled_session_leaves_the_engine():
    """One that has ended, or never was, is no error."""
    async with linked(itl_s=0.01) as (router, server):
        await router.say(Up(opened=[opened(1, tokens=10_000), opened(2, tokens=60)]))
        await router.until(lambda: len(router.texts) == 2)
        await router.say(Up(cancelled=[1, 77], credits=[{"session": 99, "bytes": 5}]))
        await router.until(lambda: 2 in router.ended)
        await until(lambda: server.replica.in_flight == 0)
        assert 1 not in router.ended


async def test_a_session_without_credit_waits_and_the_others_go_on():
    """What it was not sent meanwhile comes in fewer and larger messages."""
    async with linked(Up(hello=hello(credit_bytes=60)), itl_s=0.002) as (router, _):
        await router.say(Up(opened=[opened(1, tokens=200), opened(2, tokens=200)]))
        credited = 0

        def credit_two():
            return router.texts.get(2, "")

        async with asyncio.timeout(DEADLINE_S):
            while 2 not in router.ended:
                await router.hear()
                if len(credit_two()) > credited:
                    credited = len(credit_two())
                    await router.say(Up(credits=[{"session": 2, "bytes": 1_000}]))
        assert 1 not in router.ended
        stuck = len(router.texts[1])
        assert stuck < 60
        await router.say(Up(credits=[{"session": 1, "bytes": 100_000}]))
        await router.until(lambda: 1 in router.ended)
        after = [d for d in router.frames if 1 in d.sessions]
        assert len(router.texts[1]) == 200
        assert len(after) < 60


async def test_a_router_that_does_not_read_makes_sessions_wait():
    """A frame grows to its bound and no further, whatever the credit."""
    asked = Up(hello=hello(credit_bytes=1 << 30))
    async with linked(asked, itl_s=0.01, prefill_tokens_per_s=1e9) as (router, server):
        request = GenerateRequest(text="7" * 20_000, stopping={"max_new_tokens": 10_000})
        request.response.prompt_token_ids = True
        raw = request.SerializeToString()
        await router.say(Up(opened=[Open(session=n, request=raw) for n in range(1, 41)]))
        await until(lambda: server.replica.in_flight == 40)
        link = the_link()
        await until(lambda: not link._room.is_set())
        assert link._frame.size <= FRAME_BYTES_MAX
        assert server.replica.in_flight == 40
        router.call.cancel()
        await until(lambda: not server.replica.in_flight)


def the_link():
    """The one link that is served in this process."""
    tasks = [task for task in asyncio.all_tasks() if task.get_name() == "listen on a link"]
    (task,) = tasks
    return task.get_coro().cr_frame.f_locals["self"]


@pytest.mark.parametrize(
    ("up", "said"),
    [
        (b"\xff\xff", "up"),
        (Up(opened=[opened(5), opened(5)]), "5 is not above 5"),
        (Up(opened=[opened(5), opened(4)]), "4 is not above 5"),
    ],
)
async def test_what_no_router_may_say_ends_the_link(up, said):
    """And what ran on it leaves the engine."""
    async with linked(itl_s=0.01) as (router, server):
        await router.say(Up(opened=[opened(1, tokens=10_000)]))
        await router.until(lambda: 1 in router.texts)
        await router.say(up)
        code, details = await router.end()
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert said in details
        await until(lambda: not server.replica.in_flight)


@pytest.mark.parametrize(
    "first",
    [
        Up(),
        Up(opened=[opened(1)]),
        b"\xff",
        Up(hello=hello(credit_bytes=0)),
        Up(hello=hello(message_bytes_max=10)),
    ],
)
async def test_a_link_begins_with_a_hello_that_can_be_kept(first):
    """Any other beginning is refused, by the field."""
    async with linked(first) as (router, _):
        code, details = await router.end()
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert details.startswith("hello")


async def test_a_first_message_that_goes_wrong_leaves_nothing_running():
    """The sessions that it had opened before leave the engine with the link."""
    first = Up(hello=hello(), opened=[opened(1, tokens=10_000), opened(1)])
    async with linked(first, itl_s=0.01) as (router, server):
        code, details = await router.end()
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert "1 is not above 1" in details
        assert not server.replica.in_flight
        assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("session")]


async def test_a_chunk_that_the_router_cannot_take_ends_its_session():
    """And not the link, which a message over the limit would."""
    tokens = 1_200_000
    limits = {"max_model_len": 2 * tokens, "prefill_tokens_per_s": 1e9, "cache_blocks": 0}
    async with linked(itl_s=0, **limits) as (router, _):
        request = GenerateRequest(text="7" * tokens, request_id="big")
        request.response.prompt_token_ids = True
        big = Open(session=1, request=request.SerializeToString())
        await router.say(Up(opened=[big, opened(2)]))
        await router.until(lambda: len(router.ended) == 2)
        assert router.ended[1].code == grpc.StatusCode.OUT_OF_RANGE.value[0]
        assert router.ended[2].code == 0


async def test_a_thousand_sessions_share_a_link():
    """All of them end, each with its own answer."""
    async with linked(itl_s=0.05, max_running=1024, requests_max=1024) as (router, server):
        await router.say(Up(opened=[opened(n, str(n), tokens=6) for n in range(1, 1001)]))
        await router.until(lambda: len(router.ended) == 1000, within_s=2 * DEADLINE_S)
        assert all(router.texts[n].startswith(f" {n + 1}"[:6]) for n in range(1, 1001))
        assert server.replica.in_flight == 0
        assert len(router.frames) < 2_000


async def test_more_than_the_replica_takes_are_refused_one_by_one():
    """With the time to come back, as calls are."""
    async with linked(itl_s=0.01, requests_max=2) as (router, _):
        await router.say(Up(opened=[opened(n, tokens=200) for n in (1, 2, 3)]))
        await router.until(lambda: 3 in router.ended)
        assert router.ended[3].code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]


async def test_a_replica_that_drains_says_so_and_lets_sessions_end():
    """The link stays until they have, and then ends by itself."""
    async with linked(itl_s=0.01) as (router, server):
        await router.say(Up(opened=[opened(1, tokens=30)]))
        await router.until(lambda: 1 in router.texts)
        server.replica.board.drain()
        await router.until(lambda: router.frames[-1].leaving)
        assert not router.frames[-1].load.link
        await router.until(lambda: 1 in router.ended)
        assert len(router.texts[1]) == 30
        assert (await router.end())[0] is grpc.StatusCode.OK


async def test_a_router_that_closes_its_side_ends_the_link():
    """Without an error, and with what still ran."""
    async with linked(itl_s=0.01) as (router, server):
        await router.say(Up(opened=[opened(1, tokens=10_000)]))
        await router.until(lambda: 1 in router.texts)
        await router.call.done_writing()
        assert (await router.end())[0] is grpc.StatusCode.OK
        assert server.replica.in_flight == 0


async def test_a_dead_engine_ends_the_link_with_its_sessions():
    """UNAVAILABLE: the same requests may do well elsewhere."""
    async with linked(itl_s=0.01) as (router, server):
        await router.say(Up(opened=[opened(1, tokens=10_000)]))
        await router.until(lambda: 1 in router.texts)
        server.replica.engine.die()
        code, _ = await router.end()
        assert code is grpc.StatusCode.UNAVAILABLE
