"""A real vLLM engine behind real gRPC, in a process of its own: one for all tests."""

import asyncio
import contextlib
import os
import re
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from router.policy.fleet import SiteKind
from spillway.local.kept import Kept
from spillway.local.plan import SitePlan
from spillway.local.site import LocalSite
from tests.serving.live.checkpoint import make_adapter, make_checkpoint
from wire.spillway.v1 import load_pb2, load_pb2_grpc
from wire.vllm import control_pb2_grpc, inference_pb2, inference_pb2_grpc

START_DEADLINE_S = 240.0
STOP_GRACE_S = 20.0
POLL_S = 0.2
STEP_TOKENS = 128
"""Longer prompts are computed in several steps."""
RUNNING_MAX = 16
"""More requests wait."""


@dataclass
class Live:
    """Stubs of a replica with a real engine."""

    channel: grpc.aio.Channel

    def __post_init__(self):
        self.inference = inference_pb2_grpc.InferenceStub(self.channel)
        self.control = control_pb2_grpc.ControlStub(self.channel)
        self.load = load_pb2_grpc.LoadStub(self.channel)

    async def stream(self, **fields):
        """All chunks of a stream; greedy unless told otherwise."""
        request = inference_pb2.GenerateRequest(**({"temperature": 0} | fields))
        return [chunk async for chunk in self.inference.GenerateStream(request)]

    async def call(self, request, metadata=()):
        """All chunks of the stream that answers this request."""
        return [chunk async for chunk in self.inference.GenerateStream(request, metadata=metadata)]

    async def together(self, *calls):
        """The chunks of several calls, made at once."""
        return await asyncio.gather(*(self.call(*arguments) for arguments in calls))

    async def report_where(self, condition):
        """The first load report for which condition holds."""
        call = self.load.Watch(load_pb2.WatchLoadRequest(max_silence_ms=100))
        try:
            async for report in call:
                if condition(report):
                    return report
        finally:
            call.cancel()
        raise AssertionError("the reports ended")

    async def report(self):
        """The load now."""
        return await self.report_where(lambda _: True)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """The folder of a model of random weights."""
    folder = tmp_path_factory.mktemp("model")
    make_checkpoint(folder)
    return folder


@pytest.fixture(scope="session")
def engine_address(checkpoint, tmp_path_factory):
    """The address of a replica with that model and adapters, one by name and more in a folder.

    It computes one at a time and keeps two.
    """
    adapter, folder = tmp_path_factory.mktemp("adapter"), tmp_path_factory.mktemp("adapters")
    make_adapter(adapter)
    for seed, name in enumerate(("judge", "clerk"), start=2):
        make_adapter(folder / name, seed)
    make_adapter(folder / "torn", seed=4, tears=True)
    command = [
        *(sys.executable, "-m", "serving.standalone"),
        *(f"model={checkpoint}", "served_names=[tiny]", f"vllm.loras.poet={adapter}"),
        *(f"vllm.adapter_folder={folder}", "vllm.max_loras=1", "vllm.max_cpu_loras=2"),
        f"vllm.arguments.max_num_batched_tokens={STEP_TOKENS}",
        f"vllm.arguments.max_num_seqs={RUNNING_MAX}",
    ]
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path.cwd())}
    folder = tmp_path_factory.mktemp("engine") / "run"
    with Kept(command, env, folder, grace_s=STOP_GRACE_S) as kept:
        yield wait_for_address(kept)


def wait_for_address(kept):
    """The address that a starting replica prints once it is ready."""
    deadline = time.monotonic() + START_DEADLINE_S
    while time.monotonic() < deadline:
        ready = re.search(r"^serving tiny on (\S+)$", kept.output, re.MULTILINE)
        if ready:
            return ready[1]
        assert kept.wait(POLL_S) is None, f"the engine did not start:\n{kept.output}"
    raise AssertionError(f"the engine is not ready after {START_DEADLINE_S} s:\n{kept.output}")


@pytest.fixture
async def live(engine_address):
    """Stubs of the one engine."""
    async with grpc.aio.insecure_channel(engine_address) as channel:
        yield Live(channel)


@contextlib.contextmanager
def local_site(name, **serving):
    """A Ray cluster with one replica of the built-in model, of these settings."""
    serving = {"num_cpus": 1, "env": {"OMP_NUM_THREADS": "1"}} | serving
    plan = SitePlan(name=name, kind=SiteKind.HOME, serving=serving)
    folder = Path(tempfile.mkdtemp(prefix="sw")) / "site"
    with pytest.MonkeyPatch.context() as patch:
        # Ray's processes import the tree that is tested, installed or not.
        patch.setenv("PYTHONPATH", str(Path.cwd()))
        site = LocalSite(plan, folder)
        try:
            site.start(say=print)
            yield site
        finally:
            site.stop()


@pytest.fixture(scope="session")
def site():
    """A site of one replica."""
    with local_site("home") as site:
        yield site


@pytest.fixture
async def served(site):
    """Stubs of the replica that is there now."""
    async with grpc.aio.insecure_channel(site.replica_addresses()[-1]) as channel:
        yield Live(channel)
