"""The gateway smg in front of real vLLMs: of a replica under Ray Serve, and of a whole router."""

import contextlib

import grpc
import openai
import pytest

from serving.models.answers import answer, answer_chat, count_prompt
from tests.gateway import gateway
from wire.engine import engine_pb2, engine_pb2_grpc

pytestmark = [pytest.mark.live, pytest.mark.slow]

MODEL = "built-in"
ASKED = {
    "model": MODEL,
    "messages": [{"role": "user", "content": "Count from 417"}],
    "max_tokens": 30,
    "temperature": 0,
}
RIGHT = answer_chat([("user", "Count from 417")], 30).text


@pytest.fixture(params=["replica", "router"])
def where(request, local_fleet):
    """The address of a server of vLLM's engine API: each test is of both."""
    if request.param == "router":
        return local_fleet.address
    return local_fleet.sites["home"].replica_addresses()[-1]


@contextlib.asynccontextmanager
async def engine(address):
    """The service there, asked by itself."""
    async with grpc.aio.insecure_channel(address) as channel:
        yield engine_pb2_grpc.VllmEngineStub(channel)


async def running_at(address):
    """How many requests run there."""
    async with engine(address) as stub:
        [load] = (await stub.GetLoads(engine_pb2.GetLoadsRequest())).loads
        return load.num_total_reqs


async def test_answers_are_the_model_s(where):
    """Whole and streamed, by the chat template and the tokenizer that smg fetched."""
    async with gateway(where, model=MODEL) as smg:
        [worker] = (await smg.get("/workers"))["workers"]
        assert worker["runtime_type"] == "vllm"
        whole = await smg.client.chat.completions.create(**ASKED)
        assert whole.choices[0].message.content == RIGHT
        assert whole.usage.completion_tokens == 30
        stream = await smg.client.chat.completions.create(**ASKED, stream=True)
        text = "".join([one.choices[0].delta.content or "" async for one in stream])
        assert text == RIGHT
        prompt = count_prompt(7)
        bare = await smg.client.completions.create(
            model=MODEL, prompt=prompt, max_tokens=20, temperature=0
        )
        assert bare.choices[0].text == answer(prompt, 20).text
        await engine_does_what_it_is_told(smg.client)


async def engine_does_what_it_is_told(client):
    """Stop strings, scores, shapes and several answers reach the engine through smg."""
    stopped = await client.chat.completions.create(**ASKED, stop=[" 420"])
    assert stopped.choices[0].message.content.startswith("418 419")
    assert "421" not in stopped.choices[0].message.content
    assert stopped.choices[0].finish_reason == "stop"
    scored = await client.chat.completions.create(**ASKED, logprobs=True, top_logprobs=2)
    assert all(len(one.top_logprobs) == 2 for one in scored.choices[0].logprobs.content)
    shape = {"type": "object", "properties": {"n": {"enum": [7]}}, "required": ["n"]}
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": shape}}
    with contextlib.suppress(openai.BadRequestError):  # smg's own parser may take it apart
        await client.chat.completions.create(**ASKED, response_format=form)
    several = await client.chat.completions.create(**ASKED | {"temperature": 1.0}, n=2)
    assert len(several.choices) == 2


async def test_who_goes_frees_the_engine(where):
    """A client that leaves smg in the middle of an answer."""
    async with gateway(where, model=MODEL) as smg:
        stream = await smg.client.chat.completions.create(
            **ASKED | {"max_tokens": 3_000, "stream": True}
        )
        while not await running_at(where):
            pass
        await stream.close()
        while await running_at(where):
            pass


async def test_the_load_and_the_model_are_told(where):
    """By the service itself: a vLLM's own sizes, and nothing of another engine."""
    async with engine(where) as stub:
        model = await stub.GetModelInfo(engine_pb2.GetModelInfoRequest())
        assert (model.served_model_name, model.is_generation) == (MODEL, True)
        assert model.max_context_length > 1_000
        assert (await stub.HealthCheck(engine_pb2.HealthCheckRequest())).healthy
        [load] = (await stub.GetLoads(engine_pb2.GetLoadsRequest())).loads
        assert load.max_running_requests > 0
        assert load.max_total_num_tokens > 1_000
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            _ = [one async for one in stub.Generate(engine_pb2.GenerateRequest())]
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
