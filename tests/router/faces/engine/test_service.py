"""vLLM's engine API of a router over real gRPC, in front of fake engines."""

import asyncio
import io
import zipfile

import grpc
import pytest

from router.faces.engine import service
from serving.fake_engine import TOKENIZER
from tests.engine_api import asked, said
from tests.router.live.conftest import address, at_rest, engine, route
from tests.router.live.scripted import says
from tests.router.live.test_model_texts import Giving
from tests.waiting import until
from wire.engine import common_pb2, engine_pb2, engine_pb2_grpc


@pytest.fixture
async def routed():
    """A router over two engines that answer without pause."""
    async with (
        engine(itl_s=0) as one,
        engine(itl_s=0) as other,
        route({"home": [address(one)], "cloud": [address(other)]}) as routed,
    ):
        yield routed


@pytest.fixture
def stub(routed):
    """The service of that router."""
    return engine_pb2_grpc.VllmEngineStub(routed.channel)


async def test_an_answer_is_a_call_of_the_router_s_own(routed, stub):
    """Placed like any other, with the trailers that say where."""
    call = stub.Generate(asked(max_tokens=5))
    *chunks, end = [message async for message in call]
    assert bytes(i for chunk in chunks for i in chunk.chunk.token_ids) == b" 8 9 "
    assert (end.complete.finish_reason, end.complete.prompt_tokens) == ("length", 7)
    assert dict(await call.trailing_metadata())["x-spillway-site"] == "home"
    [whole] = await said(stub, asked(stream=False, max_tokens=5))
    assert bytes(whole.complete.output_ids) == b" 8 9 "
    await at_rest(routed)


async def test_a_session_of_the_metadata_stays_where_it_is(stub):
    """As with the native API."""
    session = (("x-session-id", "s"),)
    places = set()
    for _ in range(3):
        call = stub.Generate(asked(max_tokens=2), metadata=session)
        _ = [message async for message in call]
        places.add(dict(await call.trailing_metadata())["x-spillway-endpoint"])
    assert len(places) == 1


async def test_without_a_limit_the_context_is_filled():
    """Of the smallest endpoint that the prompt fits, so that any of them can take it."""
    async with (
        engine(itl_s=0, max_model_len=40) as one,
        engine(itl_s=0, max_model_len=60) as other,
        route({"home": [address(one), address(other)]}) as routed,
    ):
        stub = engine_pb2_grpc.VllmEngineStub(routed.channel)
        [end] = await said(stub, asked(stream=False))
        assert end.complete.completion_tokens == 40 - len("count 7")
        [end] = await said(stub, asked("7" * 50, stream=False))
        assert end.complete.completion_tokens == 10


async def test_an_answer_goes_on_where_its_engine_dies():
    """Each token once: the gateway sees one answer."""
    async with engine(itl_s=0.01) as one, engine(itl_s=0.01) as other:
        servers = {address(one): one, address(other): other}
        async with route({"home": list(servers)}) as routed:
            stub = engine_pb2_grpc.VllmEngineStub(routed.channel)
            call = stub.Generate(asked(max_tokens=60))
            got = list((await call.read()).chunk.token_ids)
            next(s for s in servers.values() if s.replica.in_flight).replica.engine.die()
            while (message := await call.read()) is not grpc.aio.EOF:
                got += message.chunk.token_ids
            assert (
                bytes(got)
                == b" 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29"[:60]
            )


async def test_who_goes_or_aborts_frees_the_engine():
    """By leaving, or by the request's id."""
    async with engine(itl_s=0.01) as server, route({"home": [address(server)]}) as routed:
        stub = engine_pb2_grpc.VllmEngineStub(routed.channel)
        call = stub.Generate(asked(max_tokens=30_000))
        await call.read()
        call.cancel()
        await until(lambda: not server.replica.in_flight)
        call = stub.Generate(asked(request_id="mine", max_tokens=30_000))
        await call.read()
        await stub.Abort(engine_pb2.AbortRequest(request_ids=["mine"]))
        while (message := await call.read()) is not grpc.aio.EOF:
            last = message
        assert last.complete.finish_reason == "abort"
        await at_rest(routed, server)


async def test_a_bad_request_is_refused_by_the_name_it_has_here(stub):
    """Whether the router finds it out or an engine."""
    for request, field in (
        (asked(max_tokens=40_000), "sampling_params.max_tokens"),
        (asked(max_tokens=2, top_p=2.0), "sampling_params.top_p"),
        (engine_pb2.GenerateRequest(), "input"),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await said(stub, request)
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert caught.value.details().startswith(f"{field}: ")


async def test_the_fleet_is_one_engine(routed, stub):
    """Its places and its cache are those of all endpoints, and so is its load."""
    model = await stub.GetModelInfo(engine_pb2.GetModelInfoRequest())
    assert (model.served_model_name, model.max_context_length) == ("fake", 32_768)
    server = await stub.GetServerInfo(engine_pb2.GetServerInfoRequest())
    assert (server.max_num_seqs, server.server_type) == (512, "vllm-grpc")
    [load] = (await stub.GetLoads(engine_pb2.GetLoadsRequest())).loads
    assert (load.max_running_requests, load.num_running_reqs) == (512, 0)
    assert load.max_total_num_tokens == 2 * 65_536 * 16
    assert (await stub.HealthCheck(engine_pb2.HealthCheckRequest())).healthy


async def test_the_load_is_what_runs():
    """At whichever endpoint."""
    async with engine(itl_s=0.01) as server, route({"home": [address(server)]}) as routed:
        stub = engine_pb2_grpc.VllmEngineStub(routed.channel)
        call = stub.Generate(asked(max_tokens=30_000))
        await call.read()

        async def running():
            [load] = (await stub.GetLoads(engine_pb2.GetLoadsRequest())).loads
            return load.num_running_reqs

        assert await running() == 1
        call.cancel()
        await at_rest(routed, server)


async def test_the_tokenizer_is_an_endpoint_s(stub):
    """As an archive, made once."""
    for _ in range(2):
        call = stub.GetTokenizer(common_pb2.GetTokenizerRequest())
        archive = b"".join([piece.data async for piece in call])
        with zipfile.ZipFile(io.BytesIO(archive)) as files:
            original = (TOKENIZER / "tokenizer.json").read_bytes()
            assert files.read("tokenizer.json") == original


async def test_an_endpoint_that_never_gives_its_tokenizer_holds_up_nobody_for_ever(monkeypatch):
    """Who asked hears of it in time, and so do those behind it; then it is asked again."""
    monkeypatch.setattr(service, "ARCHIVE_S", 0.2)
    server = Giving(says("7"), pieces=(("tokenizer.json", b"{}"),))
    await server.start()
    try:
        async with route({"home": [server.address]}) as routed:
            stub = engine_pb2_grpc.VllmEngineStub(routed.channel)

            async def archive():
                call = stub.GetTokenizer(common_pb2.GetTokenizerRequest())
                return b"".join([piece.data async for piece in call])

            for told in await asyncio.gather(archive(), archive(), return_exceptions=True):
                assert isinstance(told, grpc.aio.AioRpcError)
                assert told.code() == grpc.StatusCode.DEADLINE_EXCEEDED
            server.gate.set()
            assert await archive()
    finally:
        await server.die()


async def test_without_an_endpoint_nothing_is_told():
    """Not healthy; no model, no tokenizer."""
    async with route({"home": ["127.0.0.1:1"]}, wait_for=0) as routed:
        stub = engine_pb2_grpc.VllmEngineStub(routed.channel)
        health = await stub.HealthCheck(engine_pb2.HealthCheckRequest())
        assert (health.healthy, bool(health.message)) == (False, True)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.GetModelInfo(engine_pb2.GetModelInfoRequest())
        assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            _ = [1 async for _ in stub.GetTokenizer(common_pb2.GetTokenizerRequest())]
        assert caught.value.code() == grpc.StatusCode.NOT_FOUND
