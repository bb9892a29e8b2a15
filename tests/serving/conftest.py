"""A fake engine behind real gRPC, in this process."""

from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc
import pytest

from serving.fake_engine import FakeEngine, FakeSettings
from serving.lease_door import LeaseTerms
from serving.standalone import StandaloneServer, serve_standalone
from wire.spillway.v1 import load_pb2, load_pb2_grpc
from wire.vllm import control_pb2_grpc, inference_pb2, inference_pb2_grpc


@dataclass
class Served:
    """A server under test and stubs to call it with."""

    server: StandaloneServer
    engine: FakeEngine
    channel: grpc.aio.Channel

    def __post_init__(self):
        self.inference = inference_pb2_grpc.InferenceStub(self.channel)
        self.control = control_pb2_grpc.ControlStub(self.channel)
        self.load = load_pb2_grpc.LoadStub(self.channel)

    async def stream(self, request, **kwargs):
        """All chunks of a stream."""
        return [chunk async for chunk in self.inference.GenerateStream(request, **kwargs)]

    async def reports(self, max_silence_ms=60_000, *, accounts=False):
        """Load reports as they come."""
        asked = load_pb2.WatchLoadRequest(max_silence_ms=max_silence_ms, accounts=accounts)
        call = self.load.Watch(asked)
        try:
            async for report in call:
                yield report
        finally:
            call.cancel()

    async def report_where(self, condition):
        """The first load report for which condition holds."""
        async for report in self.reports(max_silence_ms=50):
            if condition(report):
                return report
        raise AssertionError("the reports ended")


@asynccontextmanager
async def serve_fake(requests_max=64, channel_options=(), terms=LeaseTerms(), **settings):  # noqa: B008
    engine = FakeEngine(FakeSettings(**settings), served_names=("fake", "also-fake"))
    server = await serve_standalone(engine, requests_max=requests_max, terms=terms)
    address = f"127.0.0.1:{server.port}"
    async with grpc.aio.insecure_channel(address, options=channel_options) as channel:
        try:
            yield Served(server, engine, channel)
        finally:
            await server.stop()


@pytest.fixture
async def served():
    """An engine that answers without pause."""
    async with serve_fake(itl_s=0) as served:
        yield served


@pytest.fixture
async def slow():
    """An engine that takes far longer for an answer than a test for its end."""
    async with serve_fake(itl_s=0.005) as served:
        yield served


def ask(text="7", **fields):
    """A request for what follows text."""
    return inference_pb2.GenerateRequest(text=text, **fields)


def up_to(max_new_tokens, **fields):
    """Stopping criteria with this limit."""
    return inference_pb2.StoppingCriteria(max_new_tokens=max_new_tokens, **fields)


async def rest(call):
    """What is left of a stream whose first chunk was read with read()."""
    chunks = []
    while (chunk := await call.read()) is not grpc.aio.EOF:
        chunks.append(chunk)
    return chunks
