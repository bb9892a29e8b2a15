"""`spillway route --workers`: real processes on one port, of which one dies, and all end."""

import asyncio
import contextlib
import os
import re
import signal
import sys
import urllib.request
from pathlib import Path

import grpc
import pytest

from tests.router.live.conftest import address, ask, engine
from tests.waiting import until
from wire.vllm import inference_pb2_grpc

ROOT = Path(__file__).parents[3]
START_S = 60
TOKENS = 300
FLEET = """
sites:
  home: {{kind: home, endpoints: ["{address}"]}}
slo_classes:
  chat: {{ttft: 60s, itl: 60s}}
router: {{listen: "127.0.0.1:0", metrics_listen: "127.0.0.1:0", drain_timeout: 10s}}
"""


def _spawned(child):
    try:
        return "spawn_main" in Path(f"/proc/{child}/cmdline").read_text()
    except FileNotFoundError:
        return False


class Routing:
    """A running command, what it said, and where it listens."""

    def __init__(self, process):
        self.process = process
        self.said = []
        self.port = self.metrics_port = 0

    async def begin(self):
        while not self.metrics_port:
            line = (await asyncio.wait_for(self.process.stderr.readline(), START_S)).decode()
            assert line, "".join(self.said)
            self.said.append(line)
            port = re.search(r":(\d+)", line)
            if line.startswith("Router of 2 workers at "):
                self.port = int(port[1])
            elif line.startswith("Metrics at http"):
                self.metrics_port = int(re.search(r"1:(\d+)/", line)[1])

    def children(self):
        """The workers and the receiver."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return sorted(int(child) for child in path.read_text().split() if _spawned(child))

    @contextlib.asynccontextmanager
    async def client(self):
        """A connection of its own, and so one worker's."""
        options = [("grpc.use_local_subchannel_pool", 1)]
        where = f"127.0.0.1:{self.port}"
        async with grpc.aio.insecure_channel(where, options=options) as channel:
            yield inference_pb2_grpc.InferenceStub(channel)

    async def scrape(self):
        """The metrics of all workers."""
        url = f"http://127.0.0.1:{self.metrics_port}/metrics"
        with await asyncio.to_thread(urllib.request.urlopen, url, timeout=10) as answer:
            return answer.read().decode()

    async def ends(self):
        """The exit status, and that nothing of it is left."""
        children = self.children()
        code = await asyncio.wait_for(self.process.wait(), START_S)
        await until(lambda: not any(Path(f"/proc/{child}").exists() for child in children))
        return code


@contextlib.asynccontextmanager
async def routing(folder, engine_address):
    """`spillway route --workers 2` before one engine."""
    file = folder / "fleet.yaml"
    file.write_text(FLEET.format(address=engine_address))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "spillway", "route", str(file), "--workers", "2"),
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(folder)},
    )
    running = Routing(process)
    try:
        await running.begin()
        yield running
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def answers(stub):
    """Whether a request is answered."""
    try:
        return len([chunk async for chunk in stub.GenerateStream(ask(), wait_for_ready=True)]) > 0
    except grpc.aio.AioRpcError:
        return False


async def until_served(running):
    """Waits until new connections are answered, whichever worker they reach."""
    async with asyncio.timeout(START_S):
        good = 0
        while good < 8:
            async with running.client() as stub:
                good = good + 1 if await answers(stub) else 0


@pytest.mark.slow
async def test_a_dead_worker_takes_its_streams_and_no_others(tmp_path):
    """The others' streams go on, new connections are served, and another takes its place."""
    async with engine(itl_s=0.02) as server, routing(tmp_path, address(server)) as running:
        await until_served(running)
        async with contextlib.AsyncExitStack() as opened:
            clients = [await opened.enter_async_context(running.client()) for _ in range(12)]
            calls = [stub.GenerateStream(ask(max_new_tokens=TOKENS)) for stub in clients]
            for call in calls:
                await call.read()
            before = running.children()
            victim = before[-1]
            os.kill(victim, signal.SIGKILL)
            endings = await asyncio.gather(*(_ending(call) for call in calls))
            assert set(endings) == {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE}
        await until_served(running)
        await until(lambda: len(running.children()) == len(before), START_S)
        assert victim not in running.children()
        text = await running.scrape()
        assert "spillway_workers" in text
        running.process.send_signal(signal.SIGINT)
        assert await running.ends() == 130


async def _ending(call):
    """How a call ends; all its tokens came where it ended well."""
    tokens = 1
    try:
        while (chunk := await call.read()) is not grpc.aio.EOF:
            tokens += chunk.outputs.num_tokens
    except grpc.aio.AioRpcError as error:
        return error.code()
    assert tokens == TOKENS
    return grpc.StatusCode.OK


@pytest.mark.slow
async def test_sigterm_lets_streams_end_and_leaves_nothing_behind(tmp_path):
    """In every worker; no process and no file remains."""
    async with engine(itl_s=0.02) as server, routing(tmp_path, address(server)) as running:
        await until_served(running)
        async with contextlib.AsyncExitStack() as opened:
            clients = [await opened.enter_async_context(running.client()) for _ in range(4)]
            calls = [stub.GenerateStream(ask(max_new_tokens=TOKENS)) for stub in clients]
            for call in calls:
                await call.read()
            assert 'spillway_open_streams{site="home"} 4.0' in await running.scrape()
            running.process.send_signal(signal.SIGTERM)
            endings = await asyncio.gather(*(_ending(call) for call in calls))
            assert set(endings) == {grpc.StatusCode.OK}
        assert await running.ends() == 0
    assert [path.name for path in tmp_path.iterdir()] == ["fleet.yaml"]


@pytest.mark.slow
async def test_workers_end_with_their_supervisor(tmp_path):
    """However that ends: nobody would restart them, nor pass them a signal."""
    async with engine(itl_s=0.02) as server, routing(tmp_path, address(server)) as running:
        children = running.children()
        assert len(children) == 3
        running.process.kill()
        await running.process.wait()
        await until(lambda: not any(Path(f"/proc/{one}").exists() for one in children))
    assert [path.name for path in tmp_path.iterdir()] == ["fleet.yaml"]


async def test_a_port_that_is_taken_is_one_line(tmp_path):
    """Before any worker starts."""
    async with engine() as server:
        file = tmp_path / "fleet.yaml"
        text = FLEET.format(address=address(server)).replace("127.0.0.1:0", address(server), 1)
        file.write_text(text)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "spillway", "route", str(file), "--workers", "2"),
            stderr=asyncio.subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        _, said = await asyncio.wait_for(process.communicate(), START_S)
    assert process.returncode == 1
    assert said.decode().startswith(
        f"spillway: cannot listen on {address(server)}: Address already in use"
    )
