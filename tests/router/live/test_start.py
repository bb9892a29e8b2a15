"""Answers that begin in the middle: their client has the beginning from elsewhere."""

import asyncio
from dataclasses import replace

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.live.start import TOKEN_CHARS_MAX, make_token, read_start
from router.policy.identity import EngineIdentity
from serving.fake_engine import TOKENIZER
from serving.identity import tokenizer_digest
from tests.router.live.conftest import SETTINGS, address, ask, engine, pace, route
from tests.router.live.counting import counted_on, counts
from tests.router.live.scripted import drained, error_of, scripted
from tests.waiting import until
from wire.spillway.v1.resume import IDENTITY_KEY, RESUME_KEY, RESUME_TEXT_KEY, RESUME_TOKEN_KEY
from wire.status import CallError
from wire.vllm.inference_pb2 import GenerateRequest, StoppingCriteria, TokenIds

HERE = EngineIdentity("w", "t", "n")


async def cut_after(routed, request, messages_min):
    """A stream that a drain cuts: its text, its error, and the token in its trailer."""
    call, text = routed.inference.GenerateStream(request), ""
    for _ in range(messages_min):
        text += (await call.read()).outputs.text
    await routed.router.drain()
    error, rest = await error_of(drained(call))
    return text + "".join(rest), error, dict(error.trailing_metadata()).get(RESUME_TOKEN_KEY)


async def rest_of(routed, request, token):
    """What a router gives to one who comes with a token."""
    call = routed.inference.GenerateStream(request, metadata=((RESUME_TOKEN_KEY, token),))
    return [message async for message in call]


async def test_a_router_that_drains_gives_its_clients_what_the_next_one_needs():
    """Any client, with the same request and the token: the rest, counted as a whole."""
    settings = replace(SETTINGS, drain_timeout_s=0.05)
    async with engine(itl_s=0.05) as server:
        async with route({"home": [address(server)]}, settings) as first:
            begun, error, token = await cut_after(first, ask("7", 400), 5)
        pace(server, itl_s=0)
        assert error.code() is grpc.StatusCode.ABORTED
        async with route({"home": [address(server)]}) as second:
            messages = await rest_of(second, ask("7", 400), token)
        assert begun + "".join(m.outputs.text for m in messages) == counted_on("7", 400)
        assert messages[-1].outputs.finish_info.num_output_tokens == 400
        assert not any(message.HasField("prompt_info") for message in messages)


async def test_a_token_works_once_more_when_that_stream_breaks_too():
    """Streams that began in the middle go on elsewhere like any other."""
    settings = replace(SETTINGS, drain_timeout_s=0.05)
    async with engine(itl_s=0.05) as one, scripted(counts(breaks_after=10)) as bad:
        async with route({"home": [address(one)]}, settings) as first:
            begun, _, token = await cut_after(first, ask("7", 400), 5)
        pace(one, itl_s=0)
        servers = {"home": [bad.address], "cloud": [address(one)]}
        async with route(servers) as second:
            messages = await rest_of(second, ask("7", 400), token)
        assert begun + "".join(m.outputs.text for m in messages) == counted_on("7", 400)
        assert messages[-1].outputs.finish_info.num_output_tokens == 400


async def test_a_token_of_another_request_is_a_bad_request():
    """By the key's name, before any endpoint is asked."""
    token = make_token(ask("7", 400), (55,), (32,), 1, HERE)
    async with scripted(counts()) as good, route({"home": [good.address]}) as routed:
        call = routed.inference.GenerateStream(ask("8", 400), metadata=((RESUME_TOKEN_KEY, token),))
        error, _ = await error_of(call)
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert f"{RESUME_TOKEN_KEY}: belongs to another request" in error.details()
        assert not good.calls


async def test_a_token_whose_model_is_served_no_more_says_so():
    """Tokens do not run out by time; what began with other weights is not gone on with."""
    gone = EngineIdentity("weights-of-last-week", "bytes", "exact")
    token = make_token(ask("7", 400), (55,), (32,), 1, gone)
    async with engine(itl_s=0) as server, route({"home": [address(server)]}) as routed:
        call = routed.inference.GenerateStream(ask("7", 400), metadata=((RESUME_TOKEN_KEY, token),))
        error, texts = await error_of(call)
        assert not texts
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert "1 unable to go on with this stream" in error.details()


async def test_where_nothing_has_begun_a_drain_says_that_nobody_is_there():
    """There is nothing to go on with, and whoever asks elsewhere loses nothing."""
    settings = replace(SETTINGS, drain_timeout_s=0.05)
    async with (
        engine(prefill_tokens_per_s=1) as server,
        route({"home": [address(server)]}, settings) as routed,
    ):
        call = routed.inference.GenerateStream(ask("7" * 60, 5))
        ended = asyncio.create_task(error_of(call))
        await until(lambda: routed.router._inference.turns)
        await routed.router.drain()
        error, _ = await ended
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert RESUME_TOKEN_KEY not in dict(error.trailing_metadata())


async def test_a_router_above_has_its_streams_gone_on_with():
    """It asks for the rest in the wire's own way, and adds what came before to the count."""
    begun = counted_on("7", 10)
    request = GenerateRequest(
        token_ids=TokenIds(ids=b"7" + begun.encode()),
        stopping=StoppingCriteria(max_new_tokens=20),
    )
    origin = f"fake-x,{tokenizer_digest(TOKENIZER)},exact,"
    metadata = ((RESUME_KEY, "10"), (RESUME_TEXT_KEY, "10"), (IDENTITY_KEY, origin))
    async with (
        engine(itl_s=0, weights="x") as like,
        engine(itl_s=0) as unlike,
        route({"home": [address(unlike)], "cloud": [address(like)]}) as routed,
    ):
        call = routed.inference.GenerateStream(request, metadata=metadata)
        messages = [message async for message in call]
        assert begun + "".join(m.outputs.text for m in messages) == counted_on("7", 30)
        assert messages[-1].outputs.finish_info.num_output_tokens == 20
        assert dict(await call.trailing_metadata())["x-spillway-site"] == "cloud"
        assert dict(await call.initial_metadata())[IDENTITY_KEY] == origin


async def test_a_ring_of_routers_is_broken():
    """A request that has passed four routers, or this one, goes no further; nor an odd list."""
    failed, bad = grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.INVALID_ARGUMENT
    async with engine(itl_s=0) as server, route({"home": [address(server)]}) as routed:
        ring = f"a,{routed.router.id},b"
        for hops, code in (("a,b,c", None), ("a,b,c,d", failed), (ring, failed), ("a,", bad)):
            call = routed.inference.GenerateStream(ask(), metadata=(("x-spillway-hops", hops),))
            if code is None:
                assert [message async for message in call]
                continue
            error, _ = await error_of(call)
            assert error.code() is code
            assert hops != ring or f"{routed.router.id} > b > {routed.router.id}" in error.details()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (RESUME_KEY, "0"),
        (RESUME_KEY, "3"),
        (RESUME_KEY, "-1"),
        (RESUME_KEY, "٣"),
        (RESUME_KEY, "1" * 20),
        (RESUME_TOKEN_KEY, "no token!"),
        (RESUME_TOKEN_KEY, "AAAA"),
        (RESUME_TOKEN_KEY, ""),
    ],
)
def test_what_cannot_be_true_is_a_bad_request(key, value):
    """By the key's name."""
    request = GenerateRequest(token_ids=TokenIds(ids=[1, 2, 3]))
    with pytest.raises(CallError, match=key) as caught:
        read_start(request, {key: value})
    assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT


def test_a_router_is_told_how_much_of_the_text_there_is():
    """It cannot read the tokens, and would have all of their text told once more."""
    request = GenerateRequest(token_ids=TokenIds(ids=[1, 2, 3]))
    with pytest.raises(CallError, match=RESUME_TEXT_KEY):
        read_start(request, {RESUME_KEY: "1"})
    request.response.output_text = False
    assert read_start(request, {RESUME_KEY: "1"}) is not None


@pytest.mark.parametrize("digest", ["a\nb", "ä", "a,b", "a" * 257])
def test_what_no_metadata_may_have_comes_in_with_no_token(digest):
    """It would go on to an endpoint, and its refusal be taken for the endpoint's failure."""
    for identity in (replace(HERE, weights=digest), replace(HERE, adapters=(("of", digest),))):
        request = GenerateRequest(text="a", lora_name="of")
        token = make_token(request, (1, 2), (3, 4), 2, identity)
        with pytest.raises(CallError, match=f"{RESUME_TOKEN_KEY}.*no digest"):
            read_start(request, {RESUME_TOKEN_KEY: token})


def test_a_token_belongs_to_its_request():
    """The id may be another; anything else makes another answer."""
    request = GenerateRequest(text="a", request_id="1")
    token = make_token(request, (1, 2), (3, 4), 2, HERE)
    request.request_id = "2"
    start = read_start(request, {RESUME_TOKEN_KEY: token})
    assert start is not None
    assert (start.prompt_ids, start.output_ids, start.text_bytes) == ((1, 2), (3, 4), 2)
    assert start.identity == HERE
    request.text = "b"
    with pytest.raises(CallError, match="another request"):
        read_start(request, {RESUME_TOKEN_KEY: token})


def test_a_token_fits_a_trailer_or_is_none():
    """A long prompt is left out, and the answer replayed; a long answer cannot be."""
    request = GenerateRequest(text="a")
    token = make_token(request, tuple(range(5_000)), (3, 4), 2, HERE)
    assert 0 < len(token) <= TOKEN_CHARS_MAX
    start = read_start(request, {RESUME_TOKEN_KEY: token})
    assert start is not None
    assert start.prompt_ids == ()
    assert make_token(request, (), tuple(range(5_000)), 2, HERE) == ""


@given(st.text(max_size=200))
def test_no_token_breaks_the_reader(text):
    """Whatever a client sends that no router made is refused."""
    with pytest.raises(CallError, match=RESUME_TOKEN_KEY):
        read_start(GenerateRequest(text="a"), {RESUME_TOKEN_KEY: text})
