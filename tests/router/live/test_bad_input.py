"""What a router answers to what it should not have been sent, and that it lives on."""

import random
from dataclasses import replace

import grpc
import pytest

from tests.router.live import http2
from tests.router.live.conftest import SETTINGS, address, ask, engine, route
from tests.router.live.scripted import hangs, says, scripted
from tests.waiting import until

CHECK = "grpc.health.v1.Health/Check"
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED
INVALID = grpc.StatusCode.INVALID_ARGUMENT


async def refusal(routed, raw, metadata=None, method="GenerateStream"):
    """The status of a call with these bytes."""
    call = routed.channel.unary_stream(f"/vllm.Inference/{method}")(raw, metadata=metadata)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        [message async for message in call]
    return caught.value


@pytest.mark.parametrize("method", ["Generate", "GenerateStream"])
async def test_bytes_that_are_no_request_name_the_field(one, method):
    """A string field that is not UTF-8 is named; of mere noise it is said that it is none."""
    bad_text = await refusal(one, b"\x1a\x02\xff\xfe", method=method)
    assert bad_text.code() is INVALID
    assert bad_text.details().startswith("text: ")
    noise = await refusal(one, b"\xff\xff\xff", method=method)
    assert noise.code() is INVALID
    assert noise.details().startswith("request: ")


@pytest.mark.parametrize(
    "method",
    ["vllm.Control/Abort", "spillway.v1.Fleet/Watch", "spillway.v1.Load/Watch", CHECK],
)
async def test_every_service_refuses_bytes_that_are_no_request(one, method):
    """The sender is told that it is its mistake."""
    call = one.channel.unary_stream(f"/{method}")(b"\xff\xff\xff")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        [message async for message in call]
    assert caught.value.code() is INVALID
    assert caught.value.details().startswith("request: ")


async def test_an_empty_request_is_the_endpoints_to_refuse(one):
    error = await refusal(one, b"")
    assert error.code() is INVALID


async def test_a_message_over_the_limit_is_refused_by_its_size():
    """Before its bytes are read: the status names the limit."""
    settings = replace(SETTINGS, message_bytes_max=100_000)
    async with engine() as server, route({"home": [address(server)]}, settings) as routed:
        error = await refusal(routed, ask("x" * 200_000).SerializeToString())
        assert error.code() is EXHAUSTED
        assert "100000" in error.details()
        assert (await routed.stream(ask("7")))[0].outputs.text


async def test_a_compressed_message_is_refused_unread(one):
    """A few bytes that become many would be many before their size could be judged."""
    call = one.channel.unary_stream("/vllm.Inference/GenerateStream")(
        ask("x" * 1_000).SerializeToString(), compression=grpc.Compression.Gzip
    )
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        [message async for message in call]
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert "gzip" in caught.value.details()
    assert (await one.stream(ask("7")))[0].outputs.text


async def test_an_answer_over_the_limit_is_no_failure_of_the_endpoint():
    """It is not tried elsewhere, where it would be as large."""
    settings = replace(SETTINGS, message_bytes_max=100_000)

    async with scripted(says("x" * 200_000)) as large, scripted(says("y")) as other:
        addresses = {"home": [large.address], "cloud": [other.address]}
        async with route(addresses, settings) as routed:
            error = await refusal(routed, ask().SerializeToString())
            assert error.code() is EXHAUSTED
            assert not other.calls


async def test_more_calls_than_the_limit_are_refused():
    """The refused hear the limit's name; the running go on."""
    settings = replace(SETTINGS, streams_max=1)
    async with scripted(hangs) as server, route({"home": [server.address]}, settings) as routed:
        first = routed.inference.GenerateStream(ask())
        await first.read()
        error = await refusal(routed, ask().SerializeToString())
        assert error.code() is EXHAUSTED
        assert "streams_max" in error.details()
        first.cancel()
        await until(lambda: server.open == 0)


async def test_a_session_name_has_a_longest_length(one):
    error = await refusal(one, ask(session_id="s" * 1_000).SerializeToString())
    assert error.code() is INVALID
    assert error.details().startswith("session_id: ")
    error = await refusal(one, ask().SerializeToString(), (("x-session-id", "s" * 1_000),))
    assert error.details().startswith("x-session-id: ")


async def test_a_model_name_has_a_longest_length(one):
    """The status that names it travels in metadata, which has no room for more."""
    error = await refusal(one, ask(model="m" * 100_000).SerializeToString())
    assert error.code() is INVALID
    assert error.details().startswith("model: ")


async def test_too_much_metadata_is_refused(one):
    error = await refusal(one, ask().SerializeToString(), (("x-other", "y" * 100_000),))
    assert error.code() is EXHAUSTED


async def test_metadata_that_is_not_ascii_is_refused_by_its_key(one):
    """Only where it would be passed on; other keys are of no concern here."""
    path, raw = b"/vllm.Inference/GenerateStream", ask().SerializeToString()
    ours = http2.call(path, raw, (b"x-session-id", b"\xc3\xa4\xff"))
    answer = await http2.exchange(one.router.port, ours, lambda got: b"grpc-message" in got)
    assert b"x-session-id: metadata must be printable ASCII" in answer
    other = http2.call(path, raw, (b"x-other", b"\xc3\xa4\xff"))
    answer = await http2.exchange(one.router.port, other, lambda got: b"x-spillway-site" in got)
    assert b"x-spillway-site" in answer


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        b"\x00" * 1_000,
        http2.PREFACE + b"\xff" * 1_000,
        http2.PREFACE + http2.SETTINGS_FRAME + random.Random(1).randbytes(1_000),
    ],
    ids=["http1", "tls", "zeroes", "frames", "noise"],
)
async def test_garbage_on_the_port_is_harmless(one, garbage):
    """The connection is closed; the next one is served."""
    await http2.exchange(one.router.port, garbage, lambda _got: False)
    assert (await one.stream(ask("7")))[0].outputs.text


async def test_the_requests_of_open_calls_are_bounded_together():
    """GRPC keeps each for as long as its call is open, and so does the router to try it again."""
    settings = replace(SETTINGS, requests_bytes_max=5_000)
    async with scripted(hangs) as server, route({"home": [server.address]}, settings) as routed:
        first = routed.inference.GenerateStream(ask("x" * 3_000))
        await first.read()
        error = await refusal(routed, ask("x" * 3_000).SerializeToString())
        assert error.code() is EXHAUSTED
        assert "requests_bytes_max" in error.details()
        first.cancel()
        await until(lambda: not routed.router._inference.turns)
        again = routed.inference.GenerateStream(ask("x" * 3_000))
        assert (await again.read()).outputs.text == "first"
        again.cancel()
