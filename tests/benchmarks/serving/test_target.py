"""A client that is told to come back later does, and its user has waited all along."""

import contextlib
import time
from datetime import timedelta

import grpc
import grpc.aio

from benchmarks.serving.record import Record
from benchmarks.serving.target import ask, connected
from benchmarks.workloads.prompts import Prompt
from wire.status import overloaded
from wire.vllm import inference_pb2 as pb

WAIT = timedelta(milliseconds=40)


@contextlib.asynccontextmanager
async def refusing(times: int):
    """The address of a service that refuses so often, and then answers `hello`."""
    left = iter(range(times))

    async def stream(_raw: bytes, context):
        if next(left, None) is not None:
            overloaded("full", int(WAIT.total_seconds() * 1e9)).set_on(context)
            return
        outputs = pb.SequenceOutput(text="hello", num_tokens=1)
        await context.write(pb.GenerateResponse(outputs=outputs).SerializeToString())

    handler = grpc.unary_stream_rpc_method_handler(stream)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("vllm.Inference", {"GenerateStream": handler})]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


async def turn(address: str, **options) -> Record:
    record = Record("s", 0, "", 0.0)
    async with connected(address, **options) as target:
        prompt = Prompt("say hello", "hello")
        await ask(target, record, prompt, 1, intended_at=time.perf_counter())
    return record


async def test_a_turn_that_is_put_off_comes_back_when_it_was_told_to():
    """What it waited counts for its first token."""
    async with refusing(2) as address:
        record = await turn(address, comes_back=True)
    assert (record.status, record.right, record.refused) == ("OK", True, 2)
    assert record.ttft_s is not None
    assert record.ttft_s >= 2 * WAIT.total_seconds()


async def test_a_turn_is_not_put_off_beyond_its_deadline():
    """Then the refusal is its end."""
    async with refusing(1_000) as address:
        record = await turn(address, comes_back=True, deadline_s=2.0)
    assert record.status == "RESOURCE_EXHAUSTED"
    assert 2 <= record.refused <= 2.0 / WAIT.total_seconds()


async def test_a_client_that_does_not_come_back_hears_the_refusal():
    """As benchmarks want it."""
    async with refusing(1) as address:
        record = await turn(address)
    assert (record.status, record.refused) == ("RESOURCE_EXHAUSTED", 0)
