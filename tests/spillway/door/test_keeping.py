"""`spillway door` keeps HAProxy as the fleet file and the site's dashboard say."""

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

import grpc
import pytest
from aiohttp import web

from serving.lease_door import LeaseTerms
from tests.router.live.conftest import address, ask
from tests.router.live.counting import counted_on
from tests.router.live.test_discovery import Dashboard
from tests.spillway.client.direct_sites import engine
from tests.spillway.door.test_door import reserved, through
from tests.waiting import DEADLINE_S, until_told
from wire.vllm.inference_pb2_grpc import InferenceStub

ROOT = Path(__file__).parents[3]


@contextlib.asynccontextmanager
async def dashboard():
    """A Ray dashboard, as far as discovery asks it."""
    shown = Dashboard()
    app = web.Application()
    app.router.add_get("/api/serve/applications/", shown.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    shown.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield shown
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def command(folder, url, *arguments, files_max=None):
    """The command for a site with a door, and where that is; with at most so many open files."""
    with reserved() as listen:
        (folder / "fleet.yaml").write_text(
            f"sites:\n  home:\n    kind: home\n    ray: {{dashboard: '{url}', application: llm}}\n"
            f"    door: {listen}\n"
            "slo_classes: {chat: {ttft: 1s, itl: 100ms}}\n"
            "router: {discovery_interval: 100 ms}\n"
        )
        limited = ("sh", "-c", f'ulimit -n {files_max} && exec "$@"', "sh") if files_max else ()
        process = await asyncio.create_subprocess_exec(
            *limited,
            *(sys.executable, "-m", "spillway", "door", str(folder / "fleet.yaml"), *arguments),
            *("--listen", listen),
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            yield process, listen
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGINT)  # SIGKILL would leave HAProxy behind
            await process.communicate()


async def answers_through(listen, name):
    """What the endpoint of this name says through the door, once it can be reached."""
    async with through(listen, name) as channel:

        async def answer():
            call = InferenceStub(channel).GenerateStream(ask("7", 5), wait_for_ready=True)
            with contextlib.suppress(grpc.aio.AioRpcError):
                return "".join([message.outputs.text async for message in call])

        return await until_told(answer, 2 * DEADLINE_S)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
async def test_the_door_follows_the_dashboard_and_ends_when_told(tmp_path, number, status):
    """Endpoints are reached when they are listed; a signal ends the door and its HAProxy."""
    async with (
        engine(itl_s=0, terms=LeaseTerms()) as one,
        engine(itl_s=0, terms=LeaseTerms()) as two,
        dashboard() as ray,
    ):
        ray.addresses = [address(one)]
        async with command(tmp_path, ray.url, "home") as (process, listen):
            assert await answers_through(listen, address(one)) == counted_on("7", 5)
            ray.addresses = [address(one), address(two)]
            assert await answers_through(listen, address(two)) == counted_on("7", 5)
            process.send_signal(number)
            async with asyncio.timeout(2 * DEADLINE_S):
                assert await process.wait() == status
            host, _, port = listen.rpartition(":")
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(host, int(port))


async def test_a_door_opens_where_few_files_may_be_open(tmp_path):
    """It takes fewer clients; HAProxy would not start with as many as elsewhere."""
    async with engine(itl_s=0, terms=LeaseTerms()) as one, dashboard() as ray:
        ray.addresses = [address(one)]
        async with command(tmp_path, ray.url, "home", files_max=1_024) as (_, listen):
            assert await answers_through(listen, address(one)) == counted_on("7", 5)


async def test_a_door_that_may_open_next_to_no_file_says_so(tmp_path):
    """And what helps."""
    async with command(tmp_path, "http://127.0.0.1:1", "home", files_max=300) as (process, _):
        _, said = await process.communicate()
        assert process.returncode == 1
        assert b"the hard limit is 300: raise it (ulimit -Hn)" in said


async def test_a_site_without_a_door_is_refused(tmp_path):
    """And one that there is not; in a line."""
    async with command(tmp_path, "http://127.0.0.1:1", "elsewhere") as (process, _):
        _, said = await process.communicate()
        assert process.returncode == 2
        assert b"elsewhere is no site of" in said
