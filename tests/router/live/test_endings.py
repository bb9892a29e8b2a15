"""What a client is told in the end, where an answer or its router ends at an awkward moment."""

import asyncio
import dataclasses

import grpc
import pytest

from router.live.start import make_token
from router.policy.fleet import Fleet, Limits, SloClass
from router.policy.identity import UNKNOWN
from router.policy.units import NS_PER_S
from tests.router.live.conftest import HOME, SETTINGS, address, ask, at_rest, engine, route
from tests.router.live.counting import counted_on, counts
from tests.router.live.scripted import error_of, scripted, stays_silent
from tests.router.live.test_hedging import FLEET as HEDGED
from tests.waiting import DEADLINE_S, until
from wire.spillway.v1.resume import RESUME_TOKEN_KEY
from wire.vllm.inference_pb2 import GenerateRequest, GenerateResponse, RandomSampling

pytestmark = pytest.mark.usefixtures("transport")

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
STOPS = "this router stops"


@pytest.fixture
def unhurried(monkeypatch):
    """Whatever is cut has its time to say so, however busy the machine is."""
    monkeypatch.setattr("router.live.router._CUT_S", DEADLINE_S)


async def read(call):
    """The text of a call, and its trailers."""
    text = "".join([message.outputs.text async for message in call])
    return text, dict(await call.trailing_metadata())


def breaks(context):
    context.set_code(UNAVAILABLE)
    context.set_details("broke off")


@pytest.mark.parametrize("bytes_max", [0, 100, 1 << 20])
async def test_an_answer_that_came_whole_ends_well_however_its_call_ends(bytes_max):
    """Whether it was kept or not: its last message said that it is the last."""

    async def script(raw, context):
        await counts()(raw, context)
        breaks(context)

    settings = dataclasses.replace(SETTINGS, resume_stream_bytes_max=bytes_max)
    async with (
        scripted(script) as bad,
        scripted(counts()) as other,
        route({"home": [bad.address], "cloud": [other.address]}, settings) as routed,
    ):
        text, trailers = await read(routed.inference.GenerateStream(ask("7", 60)))
        assert text == counted_on("7", 60)
        assert trailers["x-spillway-attempts"] == "1"
        await at_rest(routed, bad, other)


@pytest.mark.parametrize(("ended", "code"), [(1, grpc.StatusCode.ABORTED), (2, None)])
async def test_several_sequences_are_whole_when_each_of_them_is(ended, code):
    """One that has ended says nothing of the other."""

    async def script(_raw, context):
        for index in range(2):
            response = GenerateResponse()
            response.outputs.index, response.outputs.text, response.outputs.num_tokens = (
                index,
                "x",
                1,
            )
            if index < ended:
                response.outputs.finish_info.num_output_tokens = 1
            await context.write(response.SerializeToString())
        breaks(context)

    request = ask(sampling=RandomSampling(num_sequences=2), temperature=1.0)
    async with scripted(script) as bad, route({"home": [bad.address]}) as routed:
        call = routed.inference.GenerateStream(request)
        if code is None:
            assert (await read(call))[0] == "xx"
        else:
            error, _ = await error_of(call)
            assert error.code() is code


async def test_only_what_went_on_with_the_answer_counts_as_a_resume():
    """Attempts that end before they give anything are attempts, and no more."""
    tries = 0

    async def script(raw, context):
        nonlocal tries
        tries += 1
        if 1 < tries < 4:
            breaks(context)
        else:
            await counts(breaks_after=10 if tries == 1 else None)(raw, context)

    settings = dataclasses.replace(SETTINGS, resume_wait_s=30.0)
    async with scripted(script) as server, route({"home": [server.address]}, settings) as routed:
        text, trailers = await read(routed.inference.GenerateStream(ask("7", 30)))
        assert text == counted_on("7", 30)
        assert trailers["x-spillway-attempts"] == "4"
        assert trailers["x-spillway-resumed"] == "1"


async def test_a_stream_that_waits_makes_no_more_attempts_than_another():
    """Its only endpoint takes it each time and gives nothing; it does not wait for that to end."""
    tries = 0

    async def script(raw, context):
        nonlocal tries
        tries += 1
        if tries == 1:
            await counts(breaks_after=10)(raw, context)
        else:
            breaks(context)

    settings = dataclasses.replace(SETTINGS, resume_wait_s=3_600.0)
    async with scripted(script) as server, route({"home": [server.address]}, settings) as routed:
        error, _ = await error_of(routed.inference.GenerateStream(ask("7", 30)))
        assert error.code() is grpc.StatusCode.ABORTED
        trailers = dict(error.trailing_metadata())
        assert trailers["x-spillway-attempts"] == str(tries) == "4"


async def test_nothing_follows_what_is_no_message():
    """The client has it already, and nobody can tell what it was."""

    async def script(_raw, context):
        await context.write(b"\xff\xff")
        breaks(context)

    async with (
        scripted(script) as bad,
        scripted(counts()) as other,
        route({"home": [bad.address], "cloud": [other.address]}) as routed,
    ):
        method = routed.channel.unary_stream(
            "/vllm.Inference/GenerateStream", GenerateRequest.SerializeToString
        )
        call = method(ask())
        assert await call.read() == b"\xff\xff"
        with pytest.raises(grpc.aio.AioRpcError, match="no message") as caught:
            await call.read()
        assert caught.value.code() is grpc.StatusCode.ABORTED
        assert not other.calls


async def test_a_client_that_comes_back_hears_that_the_answer_is_another_one():
    """ABORTED, and not that nobody is there: it would come back again and again."""
    token = make_token(ask("7", 60), (), b"not what was said", 0, UNKNOWN)
    async with scripted(counts()) as server, route({"home": [server.address]}) as routed:
        call = routed.inference.GenerateStream(ask("7", 60), metadata=((RESUME_TOKEN_KEY, token),))
        error, texts = await error_of(call)
        assert not texts
        assert error.code() is grpc.StatusCode.ABORTED
        assert "the answer is another one" in error.details()


@pytest.mark.usefixtures("unhurried")
async def test_what_waits_for_room_when_a_drain_ends_is_told_why_it_gets_nothing():
    """By the router, with the request's id; whoever runs gets what it takes to have the rest."""
    slo = SloClass("chat", ttft_ns=NS_PER_S, itl_ns=NS_PER_S)
    fleet = Fleet((HOME,), (slo,), "chat", Limits(patience_ns=60 * NS_PER_S))
    settings = dataclasses.replace(SETTINGS, drain_timeout_s=0.05)
    async with (
        engine(itl_s=0.05, max_running=1) as server,
        route({"home": [address(server)]}, settings, fleet) as routed,
    ):
        running = routed.inference.GenerateStream(ask("7", 500))
        await running.read()
        ended = [
            asyncio.create_task(error_of(routed.inference.GenerateStream(ask(str(n), 500))))
            for n in range(5)
        ]
        await routed.state_where(lambda state: sum(one.waiting for one in state.tenants) == 5)
        await routed.router.drain()
        for error, texts in await asyncio.gather(*ended):
            assert not texts
            assert error.code() is UNAVAILABLE
            assert STOPS in error.details()
            assert dict(error.trailing_metadata())["x-spillway-request-id"]


@pytest.mark.usefixtures("unhurried")
async def test_both_attempts_of_a_hedged_request_end_when_a_drain_does():
    """The second is no reason for the client to wait for longer than for the first."""
    settings = dataclasses.replace(SETTINGS, drain_timeout_s=0.05)
    async with (
        scripted(stays_silent) as home,
        scripted(stays_silent) as cloud,
        route({"home": [home.address], "cloud": [cloud.address]}, settings, HEDGED) as routed,
    ):
        ended = asyncio.create_task(error_of(routed.inference.GenerateStream(ask())))
        await until(lambda: home.open and cloud.open)
        await routed.router.drain()
        error, _ = await ended
        assert error.code() is UNAVAILABLE
        assert STOPS in error.details()
