"""The gateway smg, started for real, in front of a site with a fake engine."""

import asyncio
import contextlib

import openai
import pytest

from tests.gateway import gateway
from tests.router.live.conftest import address, engine
from tests.waiting import until, until_told

ASKED = {"model": "fake", "messages": [{"role": "user", "content": "count 41"}], "max_tokens": 12}
RIGHT = " 42 43 44 45"
LONG = ASKED | {"max_tokens": 30_000, "stream": True}


async def test_it_takes_a_site_for_a_vllm_and_answers_through_it():
    """Registered by itself, with the site's own tokenizer; answers whole and streamed are right."""
    async with engine(itl_s=0) as server, gateway(address(server), model="fake") as smg:
        [worker] = (await smg.get("/workers"))["workers"]
        assert (worker["runtime_type"], worker["connection_mode"]) == ("vllm", "grpc")
        assert worker["labels"]["max_context_length"] == "32768"
        assert "Fetching tokenizer from worker" in smg.said()
        whole = await smg.client.chat.completions.create(**ASKED)
        assert whole.choices[0].message.content == RIGHT
        assert (whole.choices[0].finish_reason, whole.usage.completion_tokens) == ("length", 12)
        stream = await smg.client.chat.completions.create(
            **ASKED, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
        text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
        assert text == RIGHT
        assert chunks[-1].usage == whole.usage
        text = await smg.client.completions.create(model="fake", prompt="count 41", max_tokens=12)
        assert text.choices[0].text == RIGHT


async def test_who_goes_frees_the_engine():
    """A client that leaves smg in the middle of an answer, streamed or whole."""
    async with engine(itl_s=0.01) as server, gateway(address(server), model="fake") as smg:
        stream = await smg.client.chat.completions.create(**LONG)
        await anext(aiter(stream))
        assert server.replica.in_flight == 1
        await stream.close()
        await until(lambda: not server.replica.in_flight)
        whole = asyncio.create_task(
            smg.client.chat.completions.create(**ASKED | {"max_tokens": 30_000})
        )
        await until(lambda: server.replica.in_flight)
        whole.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await whole
        await until(lambda: not server.replica.in_flight)
        assert server.replica.engine.load().running_requests == 0


async def test_it_sees_the_load_that_there_is():
    """Of an answer that runs, while it runs."""
    options = ("--load-monitor-interval", "1")
    async with (
        engine(itl_s=0.01) as server,
        gateway(address(server), model="fake", options=options) as smg,
    ):

        async def runs(count):
            loads = (await smg.get("/get_loads"))["loads"]
            return [load["num_running_reqs"] for load in loads] == [count]

        stream = await smg.client.chat.completions.create(**LONG)
        await until_told(lambda: runs(1))
        await stream.close()
        await until_told(lambda: runs(0))


async def test_it_learns_that_an_engine_has_died():
    """By the health that the site states."""
    options = ("--health-check-interval-secs", "1", "--health-failure-threshold", "1")
    async with (
        engine(itl_s=0) as server,
        gateway(address(server), model="fake", options=options) as smg,
    ):
        server.replica.engine.die()

        async def is_known():
            return not any(one["is_healthy"] for one in (await smg.get("/workers"))["workers"])

        await until_told(is_known)


async def test_what_a_site_refuses_is_the_client_s_to_mend():
    """400, with the site's own words."""
    async with engine(itl_s=0) as server, gateway(address(server), model="fake") as smg:
        with pytest.raises(openai.BadRequestError) as caught:
            await smg.client.chat.completions.create(**ASKED, stop=["44"])
        assert "sampling_params.stop" in str(caught.value)
