"""vllm.Inference over real gRPC with an engine that counts."""

import asyncio

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, RetryInfo
from grpc_status import rpc_status

from serving.server_options import MESSAGE_BYTES_MAX
from tests.serving.conftest import ask, rest, serve_fake, up_to
from tests.waiting import DEADLINE_S, until, until_still
from wire.vllm import control_pb2, inference_pb2, inference_pb2_grpc


def text_of(chunks):
    return "".join(chunk.outputs.text for chunk in chunks)


def violated_field(error):
    """The field that a failed call's details name."""
    status = rpc_status.from_call(error)
    detail = BadRequest()
    assert status.details[0].Unpack(detail)
    return detail.field_violations[0].field


async def refusal(served, request, **kwargs):
    """The error that a request is refused with, and a proof that nothing is left of it."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await served.stream(request, **kwargs)
    assert served.server.replica.in_flight == 0
    load = served.engine.load()
    assert (load.running_requests, load.waiting_requests) == (0, 0)
    return caught.value


async def test_a_stream_counts_on_and_ends_with_its_reason(served):
    """Prompt info comes once and first, finish info once and last, and the text is right."""
    chunks = await served.stream(ask("count from 7", stopping=up_to(9)))
    assert text_of(chunks) == " 8 9 10 1"
    assert [chunk.HasField("prompt_info") for chunk in chunks] == [True] + [False] * 8
    assert chunks[0].prompt_info.num_prompt_tokens == len("count from 7")
    assert not chunks[0].prompt_info.token_ids
    assert [chunk.outputs.HasField("finish_info") for chunk in chunks] == [False] * 8 + [True]
    finish = chunks[-1].outputs.finish_info
    assert finish.num_output_tokens == 9
    assert finish.finish_reason == inference_pb2.FinishInfo.LENGTH
    assert finish.WhichOneof("stop_reason") is None


async def test_what_is_asked_for_is_in_the_response(served):
    """Token ids and the like appear where asked for; text does not where it is not wanted."""
    options = inference_pb2.ResponseOptions(
        prompt_token_ids=True, output_token_ids=True, output_logprobs=True, output_text=False
    )
    chunks = await served.stream(ask("7", response=options, stopping=up_to(2)))
    assert list(chunks[0].prompt_info.token_ids) == [ord("7")]
    assert [list(chunk.outputs.token_ids) for chunk in chunks] == [[ord(" ")], [ord("8")]]
    assert all(len(chunk.outputs.logprobs) == len(chunk.outputs.ranks) == 1 for chunk in chunks)
    assert text_of(chunks) == ""


async def test_generate_answers_in_one_message(served):
    """The unary call is the stream in one piece, token counts included."""
    response = await served.inference.Generate(
        ask("7", stopping=up_to(9), response=inference_pb2.ResponseOptions(output_token_ids=True))
    )
    assert response.outputs.text == " 8 9 10 1"
    assert response.outputs.num_tokens == len(response.outputs.token_ids) == 9
    assert response.prompt_info.num_prompt_tokens == 1
    assert response.outputs.finish_info.num_output_tokens == 9


async def test_several_sequences_come_in_one_stream(served):
    """Each sequence has its index and its own end, and only the very first chunk the prompt."""
    sampling = inference_pb2.RandomSampling(num_sequences=3)
    chunks = await served.stream(ask("7", sampling=sampling, stopping=up_to(4)))
    for index in range(3):
        own = [chunk for chunk in chunks if chunk.outputs.index == index]
        assert text_of(own) == " 8 9"
        assert own[-1].outputs.finish_info.num_output_tokens == 4
    assert sum(chunk.HasField("prompt_info") for chunk in chunks) == 1


async def test_a_stop_token_ends_a_stream(served):
    chunks = await served.stream(ask("7", stopping=up_to(50, stop_token_ids=[ord("9")])))
    assert text_of(chunks) == " 8 9"
    assert chunks[-1].outputs.finish_info.stop_token_id == ord("9")


async def test_no_limit_means_twenty_tokens(served):
    chunks = await served.stream(ask("7"))
    assert chunks[-1].outputs.finish_info.num_output_tokens == 20


BAD = {
    "text": ask(""),
    "prompt": inference_pb2.GenerateRequest(),
    "token_ids": inference_pb2.GenerateRequest(token_ids=inference_pb2.TokenIds()),
    "temperature": ask(temperature=float("nan")),
    "stopping.max_new_tokens": ask(stopping=up_to(32_768)),
    "stopping.min_new_tokens": ask(stopping=up_to(2, min_new_tokens=3)),
    "media": ask(media=[inference_pb2.MediaItem(url="http://example.com/a.png")]),
    "kv.kv_transfer_params": ask(kv={"kv_transfer_params": {}}),
    "kv.ec_transfer_params": ask(kv={"ec_transfer_params": {}}),
    "stopping.stop_strings": ask(stopping=up_to(2, stop_strings=["8"])),
    "priority": ask(priority=1),
}


@pytest.mark.parametrize("field", BAD)
async def test_a_bad_field_is_named(served, field):
    """The status is INVALID_ARGUMENT, and message and details name the field."""
    error = await refusal(served, BAD[field])
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert field in error.details()
    assert violated_field(error) == field


async def test_a_unary_call_is_refused_alike(served):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await served.inference.Generate(ask("7", sampling={"num_sequences": 2}))
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert violated_field(caught.value) == "sampling.num_sequences"


async def test_an_unknown_model_is_not_found(served):
    error = await refusal(served, ask(model="no-such"))
    assert (error.code(), violated_field(error)) == (grpc.StatusCode.NOT_FOUND, "model")
    assert await served.stream(ask(model="also-fake"))


async def test_an_unknown_adapter_is_not_found(served):
    error = await refusal(served, ask(lora_name="no-such"))
    assert (error.code(), violated_field(error)) == (grpc.StatusCode.NOT_FOUND, "lora_name")


async def test_a_prompt_beyond_the_context_is_refused(served):
    """Text is measured in tokens, after truncation."""
    error = await refusal(served, ask("x" * 40_000))
    assert (error.code(), violated_field(error)) == (grpc.StatusCode.INVALID_ARGUMENT, "text")
    assert await served.stream(ask("x" * 40_000, truncate_prompt_tokens=8))


async def test_a_prompt_that_nearly_fills_the_context_gets_what_fits(served):
    """The default limit shrinks to what fits; a limit that was asked for is refused instead."""
    chunks = await served.stream(ask("x" * 32_765))
    assert chunks[-1].outputs.finish_info.num_output_tokens == 3
    error = await refusal(served, ask("x" * 32_765, stopping=up_to(4)))
    assert violated_field(error) == "stopping.max_new_tokens"


async def test_a_request_id_in_flight_is_refused_until_it_ends(slow):
    """The second request is told why; the first does not notice; the id is free afterwards."""
    first = slow.inference.GenerateStream(ask(request_id="twice", stopping=up_to(10_000)))
    await first.read()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await slow.stream(ask(request_id="twice"))
    assert caught.value.code() == grpc.StatusCode.ALREADY_EXISTS
    assert "in flight" in caught.value.details()
    assert (await first.read()).outputs.num_tokens
    first.cancel()
    await slow.report_where(lambda report: report.running_requests == 0)
    assert await slow.stream(ask(request_id="twice", stopping=up_to(1)))


async def test_invalid_utf8_is_the_senders_fault(served):
    """Where generated code would answer INTERNAL, the field is named."""
    raw = ask("marked").SerializeToString().replace(b"marked", b"mar\xffed")
    call = served.channel.unary_stream("/vllm.Inference/GenerateStream")(raw)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        [chunk async for chunk in call]
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert violated_field(caught.value) == "text"


async def test_garbage_in_a_message_is_the_senders_fault(served):
    call = served.channel.unary_unary("/vllm.Inference/Generate")(b"\xff\xff\xff garbage")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


async def test_garbage_on_the_port_does_not_disturb_others(served):
    """Bytes that are no HTTP/2 end their own connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.server.port)
    writer.write(b"GET / HTTP/1.0\r\n\r\n" + bytes(range(256)) * 64)
    await asyncio.wait_for(reader.read(), DEADLINE_S)
    writer.close()
    assert await served.stream(ask("7", stopping=up_to(1)))


async def test_a_huge_message_is_refused_unread(served):
    error = await refusal(served, ask("x" * (MESSAGE_BYTES_MAX + 1)))
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_cancelled_stream_leaves_the_engine(slow):
    """The request is aborted at once, not when its answer would be complete."""
    call = slow.inference.GenerateStream(ask(stopping=up_to(30_000)))
    await call.read()
    assert slow.engine.load().running_requests == 1
    call.cancel()
    await slow.report_where(lambda report: report.running_requests == 0)
    await until(lambda: slow.server.replica.in_flight == 0)


async def test_a_client_that_vanishes_leaves_the_engine(slow):
    """Its connection breaks without a word of farewell, as when its machine dies."""
    writers = []

    async def pass_on(reader, writer):
        writers.append(writer)
        while data := await reader.read(65_536):
            writer.write(data)

    async def relay(reader, writer):
        there, back = await asyncio.open_connection("127.0.0.1", slow.server.port)
        await asyncio.gather(pass_on(reader, back), pass_on(there, writer))

    async with await asyncio.start_server(relay, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = inference_pb2_grpc.InferenceStub(channel)
            call = stub.GenerateStream(ask(stopping=up_to(30_000)))
            await call.read()
            assert slow.engine.load().running_requests == 1
            for writer in writers:
                writer.transport.abort()
            await slow.report_where(lambda report: report.running_requests == 0)
            await until(lambda: slow.server.replica.in_flight == 0)
            call.cancel()


async def test_abort_ends_a_stream_with_its_reason(slow):
    """The stream ends in order, and says that it was aborted."""
    call = slow.inference.GenerateStream(ask(request_id="mine", stopping=up_to(30_000)))
    await call.read()
    await slow.control.Abort(control_pb2.AbortRequest(request_ids=["mine", "unknown"]))
    chunks = await rest(call)
    finish = chunks[-1].outputs.finish_info
    assert finish.finish_reason == inference_pb2.FinishInfo.ABORTED
    assert finish.num_output_tokens == 1 + sum(chunk.outputs.num_tokens for chunk in chunks)
    assert slow.server.replica.in_flight == 0


async def test_a_request_that_waits_can_be_cancelled():
    """What never got a place in the batch leaves the queue, and the next moves up."""
    async with serve_fake(itl_s=0.005, max_running=1) as served:
        running = served.inference.GenerateStream(ask(stopping=up_to(30_000)))
        await running.read()
        waiting = served.inference.GenerateStream(ask())
        await served.report_where(lambda report: report.waiting_requests == 1)
        waiting.cancel()
        await served.report_where(lambda report: report.waiting_requests == 0)
        running.cancel()
        await served.report_where(lambda report: report.running_requests == 0)


async def test_a_full_replica_says_when_to_come_back():
    async with serve_fake(itl_s=0.005, requests_max=1) as served:
        call = served.inference.GenerateStream(ask(stopping=up_to(30_000)))
        await call.read()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await served.stream(ask())
        assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        detail = RetryInfo()
        assert rpc_status.from_call(caught.value).details[0].Unpack(detail)
        assert detail.retry_delay.ToMilliseconds() == 1_000
        call.cancel()


async def test_a_client_that_stops_reading_costs_no_memory():
    """Nothing piles up: what was not sent is merged, and comes in few chunks once it is read."""
    # A window that does not grow: what is unread waits at the replica, not in the network.
    fixed_window = (("grpc.http2.bdp_probe", 0),)
    async with serve_fake(itl_s=0.00002, channel_options=fixed_window) as served:
        limit = 20_000
        call = served.inference.GenerateStream(ask(stopping=up_to(limit)))
        first = await call.read()
        # Flow control stops the engine's consumer; the engine itself goes on.
        await until_still(
            lambda: served.engine.load().generated_tokens,
            lambda: served.report_where(lambda _: True),
        )
        chunks = await rest(call)
        assert sum(chunk.outputs.num_tokens for chunk in [first, *chunks]) == limit
        assert max(chunk.outputs.num_tokens for chunk in chunks) > 100


async def test_a_dead_engine_ends_its_streams_at_once(slow):
    """Every stream in flight gets UNAVAILABLE, and so does whoever comes later."""
    call = slow.inference.GenerateStream(ask(stopping=up_to(30_000)))
    await call.read()
    slow.engine.die()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await rest(call)
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    assert (await refusal(slow, ask())).code() == grpc.StatusCode.UNAVAILABLE


async def test_a_poisoned_prompt_kills_the_engine():
    """The fake engine's way to die from a request, for tests of what stands in front of it."""
    async with serve_fake(itl_s=0, poison="arsenic") as served:
        assert (await refusal(served, ask("some arsenic 7"))).code() == grpc.StatusCode.UNAVAILABLE


async def test_a_compressed_message_is_refused_unread(served):
    """It would be inflated before its size is judged."""
    error = await refusal(served, ask("x" * 1_000), compression=grpc.Compression.Gzip)
    assert error.code() == grpc.StatusCode.UNIMPLEMENTED
    assert "gzip" in error.details()
