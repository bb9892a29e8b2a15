"""vLLM's router from PyPI, which speaks vllm.Inference to its workers."""

import contextlib

import openai
import pytest

from benchmarks.rival_program import free_port
from tests.clients.conftest import path_of, serving
from tests.router.live.conftest import address
from tests.waiting import until, until_told

pytestmark = [pytest.mark.slow]

UP_DEADLINE_S = 120.0
CHAT = {"model": "fake", "messages": [{"role": "user", "content": "count 41"}], "max_tokens": 12}
RIGHT = " 42 43 44 45"
IDS = list(b"count 41")


@contextlib.asynccontextmanager
async def vllm_router(worker, tokenizer):
    """It in front of a worker, once it answers; OpenAI's client of it."""
    port = free_port()
    command = [
        *(path_of("vllm-router"), "--host", "127.0.0.1", "--port", port),
        *("--prometheus-port", free_port(), "--policy", "round_robin", "--disable-retries"),
        *("--worker-urls", f"grpc://{worker}"),
    ]
    model = {"VLLM_ROUTER_MODEL": "fake", "VLLM_ROUTER_TOKENIZER": str(tokenizer)}
    async with (
        serving(*command, folder=tokenizer, **model) as program,
        openai.AsyncOpenAI(
            base_url=f"http://127.0.0.1:{port}/v1", api_key="none", max_retries=0
        ) as client,
    ):

        async def answers():
            assert program.process.returncode is None, program.last_line
            with contextlib.suppress(openai.OpenAIError):
                return await client.completions.create(model="fake", prompt=IDS, max_tokens=1)

        await until_told(answers, UP_DEADLINE_S)
        yield client


@pytest.mark.parametrize("worker", ["router", "site"])
async def test_it_answers_through_routers_and_sites(fleet, tokenizer, worker):
    """Whole and streamed, chats and completions, all of them right."""
    routed, site = fleet
    at = f"127.0.0.1:{routed.router.port}" if worker == "router" else address(site)
    async with vllm_router(at, tokenizer) as client:
        bare = await client.completions.create(model="fake", prompt=IDS, max_tokens=12)
        assert bare.choices[0].text == RIGHT
        assert (bare.usage.prompt_tokens, bare.usage.completion_tokens) == (len(IDS), 12)
        stream = await client.completions.create(
            model="fake", prompt=IDS, max_tokens=12, stream=True
        )
        assert "".join([one.choices[0].text async for one in stream]) == RIGHT
        whole = await client.chat.completions.create(**CHAT)
        assert whole.choices[0].message.content == RIGHT
        stream = await client.chat.completions.create(**CHAT, stream=True)
        assert "".join([one.choices[0].delta.content or "" async for one in stream]) == RIGHT


async def test_who_goes_frees_the_engine(fleet, tokenizer):
    """A client that leaves it in the middle of an answer."""
    _, site = fleet
    async with vllm_router(address(site), tokenizer) as client:
        stream = await client.completions.create(
            model="fake", prompt=IDS, max_tokens=30_000, stream=True
        )
        await until(lambda: site.replica.in_flight)
        await stream.close()
        await until(lambda: not site.replica.in_flight)
