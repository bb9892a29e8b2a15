"""A replica behind a liar serves as before; only its load reports are not true."""

import asyncio
import contextlib

import grpc
import pytest

from benchmarks.chaos.liar import Liar, Lie
from tests.router.live.conftest import address, ask, engine
from tests.waiting import DEADLINE_S
from wire.spillway.v1 import load_pb2, load_pb2_grpc
from wire.vllm import control_pb2, control_pb2_grpc, inference_pb2_grpc


@contextlib.asynccontextmanager
async def lied_about(**settings):
    async with (
        engine(**settings) as server,
        Liar(address(server)) as liar,
        grpc.aio.insecure_channel(liar.address) as channel,
    ):
        yield liar, channel


async def report_where(channel, condition):
    """The first report for which a condition holds."""
    call = load_pb2_grpc.LoadStub(channel).Watch(load_pb2.WatchLoadRequest())
    try:
        async with asyncio.timeout(DEADLINE_S):
            async for report in call:
                if condition(report):
                    return report
    finally:
        call.cancel()


@pytest.fixture
async def busy():
    """A liar in front of an engine with one request in it."""
    async with lied_about(itl_s=0.05) as (liar, channel):
        await report_where(channel, lambda _: True)  # it has heard what is true while nothing runs
        call = inference_pb2_grpc.InferenceStub(channel).GenerateStream(ask(max_new_tokens=500))
        await call.read()
        yield liar, channel
        call.cancel()


async def test_answers_and_statuses_pass_through():
    """Streams, single answers, and refusals with their details."""
    async with lied_about(itl_s=0) as (_, channel):
        inference = inference_pb2_grpc.InferenceStub(channel)
        texts = [chunk.outputs.text async for chunk in inference.GenerateStream(ask())]
        assert "".join(texts) == " 8 9 "
        control = control_pb2_grpc.ControlStub(channel)
        assert (await control.GetModelInfo(control_pb2.GetModelInfoRequest())).model_id == "fake"
        with pytest.raises(grpc.aio.AioRpcError, match="max_new_tokens"):
            await inference.Generate(ask(max_new_tokens=10**6))


async def test_an_empty_report_hides_what_runs(busy):
    """Nothing runs, it says; its numbers grow as if it were fresh."""
    liar, channel = busy
    await liar.tell(Lie.EMPTY)
    first = await report_where(channel, lambda report: report.generated_tokens > 0)
    second = await report_where(channel, lambda report: report.sequence > first.sequence)
    assert first.running_requests == second.running_requests == 0
    assert first.identity.weights_digest == second.identity.weights_digest != ""


async def test_a_late_report_is_of_another_time(busy):
    """What was true at the start, when nothing ran yet."""
    liar, channel = busy
    await liar.tell(Lie.LATE)
    assert (await report_where(channel, lambda _: True)).running_requests == 0


async def test_it_stands_before_whoever_serves_after_a_replacement():
    """The new replica's answers pass through, and its reports are what the lies are made of."""
    async with lied_about() as (liar, channel), engine(itl_s=0) as other:
        await liar.lead(address(other))
        await liar.tell(Lie.FROZEN)
        told = await report_where(channel, lambda _: True)
        assert told.instance_id == other.replica.board.instance_id
        inference = inference_pb2_grpc.InferenceStub(channel)
        texts = [chunk.outputs.text async for chunk in inference.GenerateStream(ask())]
        assert "".join(texts) == " 8 9 "
