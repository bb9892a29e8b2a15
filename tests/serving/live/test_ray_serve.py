"""Replicas under Ray Serve, reached through direct ingress: a real cluster and a real engine."""

import asyncio
import contextlib
import os
import signal
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from serving.models.answers import answer, count_prompt, recite_prompt
from spillway.local.descendants import descendants
from tests.serving.conftest import rest
from tests.serving.live.conftest import Live
from tests.waiting import DEADLINE_S, until, until_told
from wire.vllm import inference_pb2

pytestmark = [pytest.mark.live]

REPLACED_DEADLINE_S = 120.0


def text_of(chunks):
    return "".join(chunk.outputs.text for chunk in chunks)


def endless():
    """A request that is far from its end when a test has seen enough of it."""
    stopping = inference_pb2.StoppingCriteria(max_new_tokens=4_000)
    return inference_pb2.GenerateRequest(text=count_prompt(0), stopping=stopping)


def processes(site, name):
    """The processes of this name that descend from the site's keeper."""
    found = []
    for pid, _ in descendants(site.kept.pid):
        with contextlib.suppress(OSError):  # it has just ended
            if name in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found


async def test_streams_pass_through_serve(served):
    """Chunks, prompt info and finish info are those of the replica itself."""
    chunks = await served.stream(text=count_prompt(7))
    assert text_of(chunks) == answer(count_prompt(7), 20).text == " 8 9 10 11 12 13 14 "
    assert [chunk.HasField("prompt_info") for chunk in chunks].count(True) == 1
    assert chunks[-1].outputs.finish_info.num_output_tokens == 20
    assert (await served.report()).model == "built-in"


async def test_a_passage_arrives_whole(served):
    """Hundreds of tokens, each a byte, and characters of several bytes among them."""
    prompt, stopping = recite_prompt(), inference_pb2.StoppingCriteria(max_new_tokens=4_000)
    chunks = await served.stream(text=prompt, stopping=stopping)
    expected = answer(prompt, 4_000)
    assert text_of(chunks) == expected.text
    assert chunks[-1].outputs.finish_info.num_output_tokens == len(expected.token_ids)
    assert chunks[-1].outputs.finish_info.WhichOneof("stop_reason") == "eos_token_id"
    assert all("\ufffd" not in chunk.outputs.text for chunk in chunks)


async def test_refusals_pass_through_serve(served):
    """Code, message and details reach the client, of a stream and of a single call."""
    for call in (
        served.stream(text="", temperature=0),
        served.inference.Generate(inference_pb2.GenerateRequest(text="")),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert caught.value.details() == "text: must not be empty"
        keys = [key for key, _ in caught.value.trailing_metadata()]
        assert "grpc-status-details-bin" in keys


async def test_health_and_load_share_a_port_with_the_rest(served):
    """Two services have a method of one name; each gets its own requests."""
    health = health_pb2_grpc.HealthStub(served.channel)
    status = await health.Check(health_pb2.HealthCheckRequest(service="vllm.Inference"))
    assert status.status == health_pb2.HealthCheckResponse.SERVING
    watch = health.Watch(health_pb2.HealthCheckRequest())
    assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
    watch.cancel()
    assert (await served.report()).sequence > 0


async def test_a_huge_message_is_refused(served):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await served.stream(text="x" * 100_000_000)
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_compressed_message_is_refused(served):
    """Serve's server has the bounds of ours."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await served.inference.Generate(
            inference_pb2.GenerateRequest(text="7"), compression=grpc.Compression.Gzip
        )
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


async def test_a_cancelled_stream_leaves_the_engine(served):
    """The client's cancel crosses Serve and reaches the engine."""
    call = served.inference.GenerateStream(endless())
    await call.read()
    await served.report_where(lambda report: report.running_requests == 1)
    call.cancel()
    idle = await served.report_where(lambda report: report.running_requests == 0)
    assert idle.waiting_requests == 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_a_dead_engine_ends_streams_and_is_replaced(site, served, number):
    """UNAVAILABLE, though vLLM ends them in order upon SIGTERM, long before a new replica."""
    before = await served.report()
    call = served.inference.GenerateStream(endless())
    await call.read()
    (engine,) = processes(site, b"EngineCore")
    os.kill(engine, number)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await asyncio.wait_for(rest(call), DEADLINE_S)
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    assert (await new_report(site, before.instance_id)).running_requests == 0
    async with grpc.aio.insecure_channel(site.replica_addresses()[-1]) as channel:
        assert text_of(await Live(channel).stream(text=count_prompt(7))).startswith(" 8 9 ")


async def new_report(site, old_instance_id):
    """The first report of a replica that is not the old one."""

    async def report_of_another():
        for address in site.replica_addresses():
            async with grpc.aio.insecure_channel(address) as channel:
                try:
                    report = await Live(channel).report()
                except grpc.aio.AioRpcError:
                    continue  # the old one, which the list still names
                if report.instance_id != old_instance_id:
                    return report
        return None

    return await until_told(report_of_another, REPLACED_DEADLINE_S, every_s=0.25)


async def test_a_killed_replica_takes_its_engine_with_it(site):
    """Otherwise the engine would keep the memory that the next one needs."""
    (engine,) = processes(site, b"EngineCore")
    (replica,) = processes(site, b"ServeReplica")
    os.kill(replica, signal.SIGKILL)
    await until(lambda: engine not in processes(site, b"EngineCore"))
