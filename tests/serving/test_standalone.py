"""A replica in a process of its own ends as it is told to."""

import asyncio
import os
import signal
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest

from tests.serving.conftest import ask, rest, up_to
from tests.waiting import DEADLINE_S
from wire.spillway.v1 import load_pb2, load_pb2_grpc
from wire.vllm import inference_pb2_grpc


@asynccontextmanager
async def replica(**arguments):
    """The process and a channel to it."""
    given = {"engine": "fake", "model": "f", "fake.itl_s": "0.01"} | arguments
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "serving.standalone"),
        *(f"{name}={value}" for name, value in given.items()),
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
    )
    try:
        line = await asyncio.wait_for(process.stdout.readline(), DEADLINE_S)
        async with grpc.aio.insecure_channel(line.decode().split()[-1]) as channel:
            yield process, channel
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_sigterm_drains():
    """The watcher hears of it, the running stream goes on to its end, then the process ends."""
    async with replica() as (process, channel):
        call = inference_pb2_grpc.InferenceStub(channel).GenerateStream(ask(stopping=up_to(40)))
        first = await call.read()
        watch = load_pb2_grpc.LoadStub(channel).Watch(load_pb2.WatchLoadRequest())
        assert not (await watch.read()).draining
        process.send_signal(signal.SIGTERM)
        reports = await asyncio.wait_for(rest(watch), DEADLINE_S)
        assert reports[-1].draining
        chunks = [first, *await rest(call)]
        assert sum(chunk.outputs.num_tokens for chunk in chunks) == 40
        assert await asyncio.wait_for(process.wait(), DEADLINE_S) == 0


async def test_the_grace_ends():
    """A stream that would outlive it is cut off with a status upon which it goes on elsewhere."""
    async with replica(grace_s="0.1") as (process, channel):
        call = inference_pb2_grpc.InferenceStub(channel).GenerateStream(ask(stopping=up_to(30_000)))
        await call.read()
        process.send_signal(signal.SIGTERM)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await asyncio.wait_for(rest(call), DEADLINE_S)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert await asyncio.wait_for(process.wait(), DEADLINE_S) == 0
