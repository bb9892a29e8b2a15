"""Streams and single answers through a router, as a client sees them."""

import asyncio

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from tests.router.live.conftest import SETTINGS, address, ask, engine, route
from tests.router.live.scripted import error_of, fails, hangs, message, says, scripted, stays_silent
from tests.waiting import until
from wire.vllm import control_pb2
from wire.vllm.inference_pb2 import GenerateRequest

pytestmark = pytest.mark.usefixtures("transport")

STREAM = "/vllm.Inference/GenerateStream"
UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


async def ends_early(_raw, context):
    await context.write(message("a"))


async def texts(call):
    return [chunk.outputs.text async for chunk in call]


PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def test_a_stream_comes_through_byte_for_byte():
    """What a client of the router gets is what a client of the engine gets."""
    async with engine(itl_s=0) as server, route({"home": [address(server)]}) as routed:
        async with grpc.aio.insecure_channel(address(server)) as channel:
            raw = ask("41", 30).SerializeToString()
            direct = [m async for m in channel.unary_stream(STREAM)(raw)]
            through = [m async for m in routed.channel.unary_stream(STREAM)(raw)]
        assert through == direct


async def test_bytes_that_no_version_knows_come_through():
    """Fields of a later version of the API pass in both directions."""
    unknown_field = b"\xfa\x3f\x03new"

    async def script(raw, context):
        assert unknown_field in GenerateRequest.FromString(raw).SerializeToString()
        await context.write(message("x", 1) + unknown_field)

    async with scripted(script) as server, route({"home": [server.address]}) as routed:
        raw = ask().SerializeToString() + unknown_field
        through = [m async for m in routed.channel.unary_stream(STREAM)(raw)]
        assert through == [message("x", 1) + unknown_field]


async def test_one_answer_comes_through(one):
    """Generate waits for the whole answer."""
    answer = await one.inference.Generate(ask("7", 5))
    assert answer.outputs.text.startswith(" 8 9")


async def test_trailers_say_where_it_ran():
    """Beside the endpoint's own trailers, and in place of those of a router below."""

    async def script(_raw, context):
        await context.write(message("x", 1))
        context.set_trailing_metadata((("x-own", "kept"), ("x-spillway-site", "below")))

    async with scripted(script) as server, route({"home": [server.address]}) as routed:
        call = routed.inference.GenerateStream(ask())
        assert await texts(call) == ["x"]
        trailers = dict(await call.trailing_metadata())
        assert trailers["x-own"] == "kept"
        assert trailers["x-spillway-site"] == "home"
        assert trailers["x-spillway-endpoint"] == f"home/{server.address}"
        assert trailers["x-spillway-attempts"] == "1"
        assert (
            trailers["x-spillway-request-id"] == server.calls[0].metadata["x-spillway-request-id"]
        )


async def test_metadata_goes_on_where_it_is_meant_to():
    """Trace context, session and our own keys; credentials are for this router alone."""
    async with scripted(says("x")) as server, route({"home": [server.address]}) as routed:
        metadata = (
            ("traceparent", PARENT),
            ("session_id", "s1"),
            ("x-spillway-slo", "batch"),
            ("x-spillway-request-id", "of-a-router-above"),
            ("authorization", "secret"),
            ("x-other", "y"),
        )
        await routed.stream(ask(), metadata=metadata)
        sent = server.calls[0].metadata
        assert (sent["traceparent"], sent["session_id"]) == (PARENT, "s1")
        assert sent["x-spillway-slo"] == "batch"
        assert sent["x-spillway-request-id"] != "of-a-router-above"
        assert not {"authorization", "x-other"} & sent.keys()


async def test_the_deadline_goes_on_and_shrinks():
    """A second attempt gets what the first has left; without a deadline there is the default."""

    async def slow_failure(_raw, context):
        await asyncio.sleep(0.5)
        context.set_code(UNAVAILABLE)

    async with scripted(slow_failure) as first, scripted(says("x")) as second:
        async with route({"home": [first.address], "cloud": [second.address]}) as routed:
            await routed.stream(ask(), timeout=60)
            await routed.stream(ask())
        # What goes on of a deadline is rounded up, by no more than a second.
        assert second.calls[0].remaining_s < first.calls[0].remaining_s < 60 + 1
        assert 60 + 1 < second.calls[-1].remaining_s < SETTINGS.default_deadline_s + 1


async def test_a_deadline_that_passes_ends_both_sides():
    async with scripted(stays_silent) as server, route({"home": [server.address]}) as routed:
        error, _ = await error_of(routed.inference.GenerateStream(ask(), timeout=0.2))
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await until(lambda: server.open == 0)
        state = await routed.state_where(lambda state: not state.open_streams)
        assert state.sites[0].open_streams == 0


async def test_a_failure_before_the_first_token_is_tried_elsewhere():
    """The client sees one stream, and the trailers say that it took two attempts."""
    async with (
        scripted(fails(UNAVAILABLE)) as bad,
        scripted(says("a", "b")) as good,
        route({"home": [bad.address], "cloud": [good.address]}) as routed,
    ):
        call = routed.inference.GenerateStream(ask())
        assert await texts(call) == ["a", "b"]
        trailers = dict(await call.trailing_metadata())
        assert (trailers["x-spillway-attempts"], trailers["x-spillway-site"]) == ("2", "cloud")
        first, second = (GenerateRequest.FromString(s.calls[0].raw) for s in (bad, good))
        assert first.request_id != second.request_id
        second.request_id = first.request_id
        assert first == second


async def test_one_answer_is_tried_elsewhere_too():
    async with (
        scripted(fails(UNAVAILABLE)) as bad,
        engine(itl_s=0) as good,
        route({"home": [bad.address], "cloud": [address(good)]}) as routed,
    ):
        answer = await routed.inference.Generate(ask("7"))
        assert answer.outputs.text.startswith(" 8")


async def test_a_whole_answer_that_is_not_whole_is_asked_for_again():
    """It has no end, and nothing of it was delivered."""

    async def half(_raw, _context):
        return message("half")

    async with (
        scripted(half) as bad,
        engine(itl_s=0) as good,
        route({"home": [bad.address], "cloud": [address(good)]}) as routed,
    ):
        answer = await routed.inference.Generate(ask("7"))
        assert answer.outputs.text.startswith(" 8")
        assert len(bad.calls) == 1


async def test_an_answer_that_cannot_go_on_is_aborted():
    """Nothing is repeated: the status says what broke and how much had come."""
    async with (
        scripted(fails(UNAVAILABLE, after=("a", "b"))) as bad,
        engine() as good,
        route({"home": [bad.address], "cloud": [address(good)]}) as routed,
    ):
        error, seen = await error_of(routed.inference.GenerateStream(ask()))
        assert seen == ["a", "b"]
        assert error.code() is grpc.StatusCode.ABORTED
        info = ErrorInfo()
        rpc_status.from_call(error).details[0].Unpack(info)
        assert dict(info.metadata) == {"delivered_messages": "2", "delivered_tokens": "2"}
        assert "after 2 messages" in error.details()
        assert "not all of its token ids are known" in error.details()
        assert good.replica.in_flight == 0


async def test_an_endpoints_own_status_comes_through():
    """Code, message and details, and nothing is tried elsewhere for a bad request."""
    async with engine() as server, route({"home": [address(server)]}) as routed:
        error, _ = await error_of(routed.inference.GenerateStream(ask("")))
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        status = rpc_status.from_call(error)
        assert status.message == error.details()
        trailers = dict(error.trailing_metadata())
        assert trailers["x-spillway-attempts"] == "1"


async def test_where_all_are_full_the_client_hears_when_to_return():
    """RESOURCE_EXHAUSTED with the endpoint's own RetryInfo."""
    async with (
        engine(requests_max=1, itl_s=1) as server,
        route({"home": [address(server)]}) as routed,
    ):
        first = routed.inference.GenerateStream(ask(max_new_tokens=100))
        await first.read()
        error, _ = await error_of(routed.inference.GenerateStream(ask()))
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        retry = RetryInfo()
        assert rpc_status.from_call(error).details[0].Unpack(retry)
        assert retry.retry_delay.ToSeconds() >= 1
        first.cancel()


async def test_an_unknown_model_is_not_found(one):
    error, _ = await error_of(one.inference.GenerateStream(ask(model="other")))
    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert error.details().startswith("model: ")


async def test_an_unknown_class_is_a_bad_request(one):
    call = one.inference.GenerateStream(ask(), metadata=(("x-spillway-slo", "none"),))
    error, _ = await error_of(call)
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert error.details().startswith("x-spillway-slo: ")


async def test_without_an_endpoint_it_is_unavailable():
    """As soon as the request comes, with a time to come back."""
    async with route({"home": ["127.0.0.1:1"]}, wait_for=0) as routed:
        error, _ = await error_of(routed.inference.GenerateStream(ask()))
        assert error.code() is UNAVAILABLE
        status = Status.FromString(dict(error.trailing_metadata())["grpc-status-details-bin"])
        assert status.details[0].Is(RetryInfo.DESCRIPTOR)


async def test_an_answer_without_a_last_message_is_no_success():
    """However well its status is: it is tried elsewhere, and failed where it had begun."""
    async with scripted(says()) as silent, scripted(ends_early) as early:
        async with route({"home": [silent.address], "cloud": [early.address]}) as routed:
            error, seen = await error_of(routed.inference.GenerateStream(ask()))
        assert seen == ["a"]
        assert error.code() is grpc.StatusCode.ABORTED
        assert "ended the answer in its middle" in error.details()


async def test_abort_reaches_the_endpoint_where_the_request_runs():
    """By the id of the attempt, which the router made; an id that runs nowhere is no error."""
    async with scripted(hangs) as server, route({"home": [server.address]}) as routed:
        call = routed.inference.GenerateStream(ask(request_id="mine"))
        await call.read()
        await routed.control.Abort(control_pb2.AbortRequest(request_ids=["mine", "gone"]))
        sent = GenerateRequest.FromString(server.calls[0].raw)
        assert server.aborted == [sent.request_id]
        call.cancel()


async def test_a_client_id_in_flight_is_refused():
    """As an engine does; once the first has ended, the id is free again."""
    async with scripted(hangs) as server, route({"home": [server.address]}) as routed:
        first = routed.inference.GenerateStream(ask(request_id="mine"))
        await first.read()
        error, _ = await error_of(routed.inference.GenerateStream(ask(request_id="mine")))
        assert error.code() is grpc.StatusCode.ALREADY_EXISTS
        assert error.details().startswith("request_id: ")
        first.cancel()
        await until(lambda: server.open == 0)
        again = routed.inference.GenerateStream(ask(request_id="mine"))
        assert (await again.read()).outputs.text == "first"
        again.cancel()
