"""vLLM's engine API of a replica over real gRPC, before a fake engine."""

import hashlib
import inspect
import io
import zipfile
from dataclasses import replace
from unittest.mock import Mock

import grpc
import pytest

from serving.fake_engine import TOKENIZER
from serving.replica import Replica
from tests.engine_api import asked, said
from tests.serving.conftest import ask, rest, serve_fake, up_to
from tests.waiting import until
from wire.engine import common_pb2, engine_pb2, engine_pb2_grpc
from wire.engine.service import EngineHandlers
from wire.vllm import inference_pb2

OTHER_ENGINES = (
    "sglang.grpc.scheduler.SglangScheduler",
    "trtllm.TrtllmService",
    "mlx.grpc.engine.MlxEngine",
)


@pytest.fixture
def engine(served):
    """The service of a replica that answers without pause."""
    return engine_pb2_grpc.VllmEngineStub(served.channel)


async def test_an_answer_is_the_engine_s(engine):
    """In token ids, with counts that are right."""
    *chunks, end = await said(engine, asked(max_tokens=5))
    assert bytes(i for chunk in chunks for i in chunk.chunk.token_ids) == b" 8 9 "
    assert end.complete.finish_reason == "length"
    assert end.complete.prompt_tokens == len("count 7")
    [whole] = await said(engine, asked(stream=False, max_tokens=5))
    assert bytes(whole.complete.output_ids) == b" 8 9 "
    assert whole.complete.completion_tokens == 5


async def test_several_answers_end_each_by_itself(engine):
    """As many ends as were asked for."""
    ends = await said(engine, asked(stream=False, max_tokens=3, n=2))
    assert sorted(end.complete.index for end in ends) == [0, 1]
    assert {bytes(end.complete.output_ids) for end in ends} == {b" 8 "}


async def test_without_a_limit_an_answer_fills_the_context():
    """As vLLM has it here, and not after the 20 tokens of the other API."""
    async with serve_fake(itl_s=0, max_model_len=40) as served:
        stub = engine_pb2_grpc.VllmEngineStub(served.channel)
        [end] = await said(stub, asked(stream=False))
        assert end.complete.completion_tokens == 40 - len("count 7")


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (asked(max_tokens=40_000), "sampling_params.max_tokens"),
        (asked(max_tokens=5, top_p=2.0), "sampling_params.top_p"),
        (asked(max_tokens=5, stop=["x"]), "sampling_params.stop"),
        (asked("", max_tokens=5), "tokenized.input_ids"),
        (engine_pb2.GenerateRequest(), "input"),
    ],
)
async def test_a_bad_request_is_refused_by_the_name_it_has_here(engine, request_, field):
    """INVALID_ARGUMENT, whoever finds it out."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await said(engine, request_)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.details().startswith(f"{field}: ")


@pytest.mark.parametrize("method", ["Generate", "Abort", "GetLoads"])
async def test_bytes_that_are_no_message_are_the_sender_s_mistake(served, method):
    """INVALID_ARGUMENT, as of the other services."""
    call = served.channel.unary_unary(f"/vllm.grpc.engine.VllmEngine/{method}")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(b"\xff\xff")
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


async def test_no_other_engine_is_here(served):
    """By that a gateway knows which engine it has found."""
    for service in OTHER_ENGINES:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await served.channel.unary_unary(f"/{service}/HealthCheck")(b"")
        assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
    for method in ("Embed", "SubscribeKvEvents", "FlushCache"):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await served.channel.unary_unary(f"/vllm.grpc.engine.VllmEngine/{method}")(b"")
        assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


async def test_both_apis_have_methods_of_one_name(served, engine):
    """Each call finds its own."""
    assert (await engine.GetModelInfo(engine_pb2.GetModelInfoRequest())).vocab_size == 257
    one = await served.inference.Generate(ask("count 7", stopping=up_to(5)))
    assert one.outputs.text == " 8 9 "


@pytest.mark.parametrize("path", sorted(EngineHandlers(Mock())._method_handlers))
def test_serve_can_call_every_method(path):
    """By its last name, and with a context where the method names it `grpc_context` alone."""
    method = getattr(Replica, path.rpartition("/")[2])
    takes = inspect.signature(method)
    named = {"grpc_context": None} if "grpc_context" in takes.parameters else {}
    takes.bind(object(), object(), **named)
    takes.bind(object(), object(), object())


async def test_an_abort_ends_an_answer(slow):
    """In order, with what there is; an id that is not in flight is ignored."""
    stub = engine_pb2_grpc.VllmEngineStub(slow.channel)
    call = stub.Generate(asked(request_id="mine", max_tokens=30_000))
    await call.read()
    await stub.Abort(engine_pb2.AbortRequest(request_ids=["mine", "nobody's"]))
    ends = [message.complete for message in await rest(call) if message.HasField("complete")]
    assert [end.finish_reason for end in ends] == ["abort"]


async def test_who_goes_ends_the_request(slow):
    """At once, as with the other API."""
    stub = engine_pb2_grpc.VllmEngineStub(slow.channel)
    call = stub.Generate(asked(max_tokens=30_000))
    await call.read()
    assert slow.server.replica.in_flight == 1
    call.cancel()
    await until(
        lambda: not slow.server.replica.in_flight and not slow.engine.load().running_requests
    )


async def test_the_load_is_what_runs(slow):
    """It counts answers of either API."""
    stub = engine_pb2_grpc.VllmEngineStub(slow.channel)
    calls = [
        stub.Generate(asked(max_tokens=30_000)),
        slow.inference.GenerateStream(
            inference_pb2.GenerateRequest(text="7", stopping=up_to(30_000))
        ),
    ]
    for call in calls:
        await call.read()
    [load] = (await stub.GetLoads(engine_pb2.GetLoadsRequest())).loads
    assert (load.num_running_reqs, load.num_waiting_reqs, load.num_total_reqs) == (2, 0, 2)
    assert load.max_total_num_tokens == 65_536 * 16
    server = await stub.GetServerInfo(engine_pb2.GetServerInfoRequest())
    assert (server.active_requests, server.server_type) == (2, "vllm-grpc")
    for call in calls:
        call.cancel()


async def test_health_is_the_replica_s(served, engine):
    """Not on its way out, nor with a dead engine; each says why."""
    asks = engine_pb2.HealthCheckRequest()
    assert (await engine.HealthCheck(asks)).healthy
    served.server.replica.board.drain()
    assert (await engine.HealthCheck(asks)).message == "this replica is on its way out"
    served.engine.die()
    assert (await engine.HealthCheck(asks)).message == "the engine of this replica has died"


async def test_the_tokenizer_comes_as_an_archive(engine):
    """Its files as they are, and the digest of all of it."""
    call = engine.GetTokenizer(common_pb2.GetTokenizerRequest())
    pieces = [piece async for piece in call]
    archive = b"".join(piece.data for piece in pieces)
    assert pieces[-1].sha256 == hashlib.sha256(archive).hexdigest()
    with zipfile.ZipFile(io.BytesIO(archive)) as files:
        for name in ("tokenizer.json", "tokenizer_config.json"):
            assert files.read(name) == (TOKENIZER / name).read_bytes()


async def test_an_engine_without_a_tokenizer_says_so(served, engine):
    """UNIMPLEMENTED, upon which a gateway takes a tokenizer of its own."""
    served.engine._info = replace(served.engine.info, tokenizer_folder=None)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        _ = [piece async for piece in engine.GetTokenizer(common_pb2.GetTokenizerRequest())]
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


async def test_overload_is_told_as_to_everybody():
    """RESOURCE_EXHAUSTED, with the time to come back."""
    async with serve_fake(itl_s=10, requests_max=1) as served:
        stub = engine_pb2_grpc.VllmEngineStub(served.channel)
        first = stub.Generate(asked(max_tokens=5))
        await until(lambda: served.server.replica.in_flight)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await said(stub, asked(max_tokens=5))
        assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        first.cancel()
