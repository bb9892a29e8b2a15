"""LoRA adapters in a real vLLM engine: loaded when asked for, forgotten when others are."""

import asyncio

import grpc
import pytest

from tests.serving.live.checkpoint import CONTEXT
from wire.vllm import inference_pb2

pytestmark = [pytest.mark.live]

PROMPT = "the quick brown fox"
IDS = inference_pb2.ResponseOptions(output_token_ids=True)
KEPT = 2  # that the engine keeps loaded; tests.serving.live.conftest sets it


async def said(live, adapter="", **fields):
    """The tokens of an answer, greedily decoded."""
    chunks = await live.stream(text=PROMPT, response=IDS, lora_name=adapter, **fields)
    return [token_id for chunk in chunks for token_id in chunk.outputs.token_ids]


async def adapters(live):
    """What the engine says of its adapters now."""
    return (await live.report()).adapters


async def test_those_of_the_folder_are_offered_and_loaded_one_after_the_other(live):
    """Each says something of its own, again after another has taken its place."""
    first = await live.report_where(lambda report: report.HasField("identity"))
    offered = dict(first.identity.adapters)
    assert set(offered) == {"poet", "judge", "clerk", "torn"}
    assert all(offered.values())
    answers = {}
    for name in ("judge", "clerk", "poet", "judge"):
        answer = await said(live, name)
        assert answers.setdefault(name, answer) == answer
        report = await adapters(live)
        assert report.loaded[-1] == name
        assert len(report.loaded) <= report.loaded_max == KEPT
        assert 0 < report.load_s < 60
    assert list((await adapters(live)).loaded) == ["poet", "judge"]
    assert len({*map(tuple, answers.values()), tuple(await said(live))}) == 4


async def test_one_that_cannot_be_loaded_fails_its_request_alone(live):
    """The engine lives on, and so do the streams that run there."""
    stopping = inference_pb2.StoppingCriteria(max_new_tokens=CONTEXT - 40, ignore_eos=True)
    beside = asyncio.create_task(live.stream(text=PROMPT, lora_name="judge", stopping=stopping))
    await live.report_where(lambda report: report.running_requests)
    for _ in range(2):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await said(live, "torn")
        assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert caught.value.details().startswith("lora_name: cannot be loaded here")
    chunks = await beside
    assert chunks[-1].outputs.finish_info.num_output_tokens == CONTEXT - 40
    assert "torn" not in (await adapters(live)).loaded


async def test_more_than_are_computed_together_take_turns(live):
    """All at once, with one place: none is mixed up with another, and none starves."""
    names = ["judge", "clerk", "poet", ""] * 3
    alone = {name: await said(live, name) for name in names[:4]}
    assert await asyncio.gather(*(said(live, name) for name in names)) == [
        alone[name] for name in names
    ]


@pytest.mark.parametrize("name", ["../poet", "poet/", "/etc", "judge\x00", "none"])
async def test_no_name_is_looked_for_on_a_disk(live, name):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await said(live, name)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_a_report_counts_the_streams_of_each(live):
    stopping = inference_pb2.StoppingCriteria(max_new_tokens=CONTEXT - 40, ignore_eos=True)
    request = inference_pb2.GenerateRequest(text=PROMPT, lora_name="clerk", stopping=stopping)
    call = live.inference.GenerateStream(request)
    await call.read()
    report = await live.report_where(lambda one: one.adapters.running)
    assert dict(report.adapters.running) == {"clerk": 1}
    assert report.adapters.running_max == 1
    call.cancel()
    await live.report_where(lambda one: not one.adapters.running)
