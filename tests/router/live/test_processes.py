"""Endpoints that are processes of their own, killed and stopped by signals."""

import asyncio
import contextlib
import signal
import sys
import time

import grpc
import pytest

from tests.router.live.conftest import address, ask, engine, route

PROGRAM = """
import asyncio, sys
from serving.fake_engine import FakeEngine, FakeSettings
from serving.standalone import serve_standalone

async def main():
    server = await serve_standalone(FakeEngine(FakeSettings(itl_s=0.005)))
    print(server.port, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@contextlib.asynccontextmanager
async def process():
    """An engine in a process of its own, and its address."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, stdout=asyncio.subprocess.PIPE
    )
    try:
        port = int(await asyncio.wait_for(child.stdout.readline(), 20))
        yield child, f"127.0.0.1:{port}"
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()


async def test_a_killed_process_costs_its_streams_and_no_new_request():
    """Open streams end within the second; the next requests go elsewhere at once."""
    async with (
        process() as (child, doomed),
        engine(itl_s=0) as other,
        route({"home": [doomed], "cloud": [address(other)]}) as routed,
    ):
        calls = [routed.inference.GenerateStream(ask(max_new_tokens=30_000)) for _ in range(5)]
        for call in calls:
            await call.read()
        killed_s = time.monotonic()
        child.send_signal(signal.SIGKILL)
        for call in calls:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                [chunk async for chunk in drained(call)]
            assert caught.value.code() is grpc.StatusCode.ABORTED
        assert time.monotonic() - killed_s < 2
        for _ in range(5):
            call = routed.inference.GenerateStream(ask())
            assert [chunk async for chunk in call]
            assert dict(await call.trailing_metadata())["x-spillway-attempts"] == "1"


async def test_a_stopped_process_is_avoided_until_it_goes_on():
    """Its connection stands and its kernel answers; its probes do not."""
    async with (
        process() as (child, doubtful),
        engine(itl_s=0) as other,
        route({"home": [doubtful], "cloud": [address(other)]}) as routed,
    ):
        child.send_signal(signal.SIGSTOP)
        await routed.until_up(1)
        call = routed.inference.GenerateStream(ask())
        assert [chunk async for chunk in call]
        assert dict(await call.trailing_metadata())["x-spillway-site"] == "cloud"
        child.send_signal(signal.SIGCONT)
        await routed.until_up(2)


async def drained(call):
    """The rest of a stream that was begun with read()."""
    while (chunk := await call.read()) is not grpc.aio.EOF:
        yield chunk
