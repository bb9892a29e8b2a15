"""Load, control and health of a replica over real gRPC."""

import asyncio
from dataclasses import replace

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from serving.health import SERVICES
from serving.listening import Listening
from serving.replica import Replica
from serving.standalone import serve_standalone
from tests.serving.conftest import ask, serve_fake, up_to
from tests.waiting import DEADLINE_S
from wire.spillway.v1.prefix import token_blocks
from wire.vllm import control_pb2

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


async def test_a_watcher_hears_at_once_and_then_of_changes(slow):
    """The first report comes unasked, the next when a request arrives, long before the silence."""
    reports = slow.reports(max_silence_ms=60_000)
    first = await anext(reports)
    assert (first.running_requests, first.model) == (0, "fake")
    assert first.kv_tokens_max == 65_536 * 16
    call = slow.inference.GenerateStream(ask(stopping=up_to(30_000)))
    second = await asyncio.wait_for(anext(reports), DEADLINE_S)
    assert second.running_requests == 1
    assert second.sequence > first.sequence
    assert second.instance_id == first.instance_id
    call.cancel()
    await reports.aclose()


async def test_silence_is_bounded(slow):
    """Where nothing changes, reports come as often as asked for."""
    reports = slow.reports(max_silence_ms=50)
    sequences = [(await asyncio.wait_for(anext(reports), DEADLINE_S)).sequence for _ in range(3)]
    assert sequences == sorted(set(sequences))
    await reports.aclose()


async def test_changes_are_gathered_into_few_reports(slow):
    """A burst is told in one report, not in one for each change."""
    reports = slow.reports(max_silence_ms=60_000)
    before = await anext(reports)
    loads = [replace(slow.engine.load(), running_requests=number) for number in range(1, 31)]
    for load in loads:
        slow.engine.load = lambda load=load: load
        slow.engine._changed()
    report = await asyncio.wait_for(anext(reports), DEADLINE_S)
    assert (report.sequence, report.running_requests) == (before.sequence + 1, 30)
    await reports.aclose()


async def test_the_tail_of_the_gaps_is_looked_for_only_where_it_is_told(slow):
    """Not at each step: it takes sorting. And it is that of the time of the report."""
    asked = []
    slow.engine.itl_s_p95 = lambda: asked.append(None) or 0.125 * len(asked)
    reports = slow.reports(max_silence_ms=60_000)
    assert (await anext(reports)).itl_s_p95 == 0.125
    for _ in range(30):
        slow.engine._changed()
    assert len(asked) == 1
    load = replace(slow.engine.load(), running_requests=1)
    slow.engine.load = lambda: load
    slow.engine._changed()
    assert (await asyncio.wait_for(anext(reports), DEADLINE_S)).itl_s_p95 == 0.25
    await reports.aclose()


async def test_prompt_blocks_are_told_once_cached(served):
    """A new watcher gets the whole set behind a reset, and then what is added."""
    prompt = "a prompt of more than two blocks of bytes"
    reports = served.reports(max_silence_ms=60_000)
    assert (await anext(reports)).prefix.reset
    await served.stream(ask(prompt))
    blocks = token_blocks(list(prompt.encode()))
    told = set()
    while told != set(blocks):
        told.update((await asyncio.wait_for(anext(reports), DEADLINE_S)).prefix.added)
    later = served.reports(max_silence_ms=60_000)
    report = await anext(later)
    assert report.prefix.reset
    assert set(report.prefix.added) == set(blocks)
    await reports.aclose()
    await later.aclose()


async def test_cached_blocks_are_counted(served):
    for _ in range(2):
        await served.stream(ask("a prompt of more than two blocks of bytes"))
    report = await anext(served.reports())
    assert report.prefix_hit_tokens == 32
    assert report.prefix_query_tokens == 2 * 41
    assert report.generated_tokens == 40


async def test_draining_is_told_and_ends_the_watch(slow):
    """Running requests finish under the watcher's eyes; then the stream ends by itself."""
    call = slow.inference.GenerateStream(ask(stopping=up_to(30_000)))
    await call.read()
    reports = slow.reports(max_silence_ms=60_000)
    assert not (await anext(reports)).draining
    slow.server.replica.board.drain()
    report = await asyncio.wait_for(anext(reports), DEADLINE_S)
    assert report.draining
    assert report.running_requests == 1
    call.cancel()
    rest = [report async for report in reports]
    assert rest[-1].running_requests == 0


async def test_a_watch_ends_when_the_engine_dies(slow):
    reports = slow.reports(max_silence_ms=50)
    await anext(reports)
    slow.engine.die()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        [report async for report in reports]
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE


async def test_server_and_model_info_are_the_engines(served):
    server = await served.control.GetServerInfo(control_pb2.GetServerInfoRequest())
    assert (server.max_model_len, server.kv_block_size) == (32_768, 16)
    assert server.total_kv_blocks == 65_536
    assert server.parallelism.world_size == 1
    assert server.instance_id == (await anext(served.reports())).instance_id
    model = await served.control.GetModelInfo(control_pb2.GetModelInfoRequest())
    assert (model.served_model_name, list(model.served_model_aliases)) == ("fake", ["also-fake"])
    assert model.supports_text_input
    assert not model.supports_multimodal


async def test_the_rest_of_control_is_unimplemented(served):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await served.channel.unary_unary("/vllm.Control/Sleep")(b"")
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


async def test_health_follows_the_engine(slow):
    """SERVING for all services and each, then NOT_SERVING, told to who watches."""
    health = health_pb2_grpc.HealthStub(slow.channel)
    for service in ("", *SERVICES):
        request = health_pb2.HealthCheckRequest(service=service)
        assert (await health.Check(request)).status == SERVING
    watch = health.Watch(health_pb2.HealthCheckRequest())
    assert (await watch.read()).status == SERVING
    slow.engine.die()
    assert (await watch.read()).status == NOT_SERVING
    assert (await health.Check(health_pb2.HealthCheckRequest())).status == NOT_SERVING
    watch.cancel()


async def test_health_of_an_unknown_service_is_not_found(served):
    health = health_pb2_grpc.HealthStub(served.channel)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await health.Check(health_pb2.HealthCheckRequest(service="no.Such"))
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


async def test_a_taken_port_is_an_error(served):
    with pytest.raises(OSError, match="cannot listen"):
        await serve_standalone(served.engine, listening=Listening(port=served.server.port))


def test_every_method_a_host_looks_up_by_name_takes_its_context_by_name():
    """Serve passes the context as the keyword argument grpc_context."""
    for name in ("Generate", "GenerateStream", "Check", "Watch"):
        assert "grpc_context" in getattr(Replica, name).__annotations__


async def test_one_engine_serves_until_it_is_full():
    """Requests beyond the batch wait, and get their turn in order."""
    async with serve_fake(itl_s=0.001, max_running=2) as served:
        answers = await asyncio.gather(
            *(served.stream(ask(str(n), stopping=up_to(30))) for n in range(6))
        )
        for number, chunks in enumerate(answers):
            text = "".join(chunk.outputs.text for chunk in chunks)
            assert text.startswith(f" {number + 1} {number + 2} ")


async def test_a_watcher_is_told_first_who_the_engine_is(served):
    """The identity holds for as long as the engine lives, and is not repeated."""
    reports = served.reports(max_silence_ms=50)
    first, second = [await anext(reports) for _ in range(2)]
    await reports.aclose()
    assert first.identity.weights_digest == "fake-count"
    assert not second.HasField("identity")
