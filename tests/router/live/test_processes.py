"""Endpoints that are processes of their own, killed and stopped by signals."""

import asyncio
import contextlib
import signal
import sys

import pytest

from tests.router.live.conftest import address, ask, ends, engine, route
from tests.router.live.counting import counted_on
from tests.router.live.scripted import drained
from tests.waiting import DEADLINE_S, until

PROGRAM = """
import asyncio, sys
from serving.fake_engine import FakeEngine, FakeSettings
from serving.standalone import serve_standalone

async def main():
    server = await serve_standalone(FakeEngine(FakeSettings(itl_s=0.02)))
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
        port = int(await asyncio.wait_for(child.stdout.readline(), DEADLINE_S))
        yield child, f"127.0.0.1:{port}"
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()


def is_at_home(turn):
    return turn.attempt is not None and turn.attempt.send.site == "home"


async def test_streams_of_a_killed_process_go_on_elsewhere():
    """Each gives what it would have given, and the next requests go elsewhere at once.

    Nobody waits for a silence: its connections tell that it is gone.
    """
    async with (
        process() as (child, doomed),
        engine(itl_s=0) as other,
        route({"home": [doomed], "cloud": [address(other)]}) as routed,
    ):
        calls = [routed.inference.GenerateStream(ask(str(n), 500)) for n in range(5)]
        begun = [await call.read() for call in calls]
        child.send_signal(signal.SIGKILL)
        for number, (call, first) in enumerate(zip(calls, begun, strict=True)):
            chunks = [first, *[chunk async for chunk in drained(call)]]
            assert "".join(chunk.outputs.text for chunk in chunks) == counted_on(str(number), 500)
            assert not any(chunk.outputs.token_ids for chunk in chunks)
            assert not any(chunk.prompt_info.token_ids for chunk in chunks)
            assert chunks[-1].outputs.finish_info.num_output_tokens == 500
            trailers = dict(await call.trailing_metadata())
            assert (trailers["x-spillway-attempts"], trailers["x-spillway-resumed"]) == ("2", "1")
            assert trailers["x-spillway-site"] == "cloud"
        assert ends(routed) == {"unreachable": 5}
        await routed.until_up(1)
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


@pytest.mark.usefixtures("vigilant")
async def test_streams_of_a_stopped_process_go_on_elsewhere():
    """Nothing says that it is stopped but its silence; what it says later reaches nobody."""
    async with (
        process() as (child, doomed),
        engine(itl_s=0) as other,
        route({"home": [doomed], "cloud": [address(other)]}) as routed,
    ):
        calls = [routed.inference.GenerateStream(ask(str(n), 500)) for n in range(5)]
        begun = [await call.read() for call in calls]
        child.send_signal(signal.SIGSTOP)
        turns = [*routed.router._inference.turns]
        await until(lambda: not any(is_at_home(turn) for turn in turns))
        child.send_signal(signal.SIGCONT)
        for number, (call, first) in enumerate(zip(calls, begun, strict=True)):
            chunks = [first, *[chunk async for chunk in drained(call)]]
            assert "".join(chunk.outputs.text for chunk in chunks) == counted_on(str(number), 500)
            assert dict(await call.trailing_metadata())["x-spillway-resumed"] == "1"
        assert ends(routed) == {"stalled": 5}
        await routed.until_up(2)


async def test_a_whole_answer_is_asked_for_elsewhere_when_its_process_stops():
    """Nothing of it was delivered, so that it can be asked for anew."""
    async with (
        process() as (child, doomed),
        engine(itl_s=0) as other,
        route({"home": [doomed], "cloud": [address(other)]}) as routed,
    ):
        asking = routed.inference.Generate(ask("7", 2_000), timeout=2 * DEADLINE_S)
        await until(lambda: any(turn.attempt for turn in routed.router._inference.turns))
        child.send_signal(signal.SIGSTOP)
        answer = await asking
        assert answer.outputs.text == counted_on("7", 2_000)
        child.send_signal(signal.SIGCONT)
