"""A server of vllm.Inference and vllm.Control that does what a test tells it, and nothing else.

It stands for a plain vLLM server, too: it has no load reports and no health service, and serves
links only where a test asks for them.
"""

import asyncio
import contextlib
from dataclasses import dataclass, field

import grpc

from tests.router.live.scripted_link import ScriptedLink
from tests.router.live.transport import TRANSPORT
from wire.vllm import control_pb2, inference_pb2


@dataclass
class Call:
    """What a call brought with it."""

    raw: bytes
    metadata: dict
    remaining_s: float


class Unserved(grpc.GenericRpcHandler):
    """Serves nothing, and notes what was asked for in vain."""

    def __init__(self):
        self.methods = []

    def service(self, details):
        self.methods.append(details.method)


@dataclass
class Scripted:
    """The script is a coroutine function that gets the bytes and the context of each stream."""

    script: object
    names: tuple = ("fake",)
    calls: list[Call] = field(default_factory=list)
    open: int = 0
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    aborted: list[str] = field(default_factory=list)
    unserved: Unserved = field(default_factory=Unserved)
    links: object = None  # what serves links here, if anything does
    address: str = ""
    server: grpc.aio.Server | None = None

    async def handle(self, raw, context):
        self.calls.append(Call(raw, dict(context.invocation_metadata()), context.time_remaining()))
        self.open += 1
        try:
            return await self.script(raw, context)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        finally:
            self.open -= 1

    async def model_info(self, _request, _context):
        first, *aliases = self.names
        return control_pb2.ModelInfo(served_model_name=first, served_model_aliases=aliases)

    async def server_info(self, _request, _context):
        return control_pb2.ServerInfo(max_model_len=1000, total_kv_blocks=10, kv_block_size=16)

    async def abort(self, request, _context):
        self.aborted += request.request_ids
        return control_pb2.AbortResponse()

    def services(self):
        one, many = grpc.unary_unary_rpc_method_handler, grpc.unary_stream_rpc_method_handler
        to_bytes = control_pb2.ModelInfo.SerializeToString
        return {
            "vllm.Inference": {"Generate": one(self.handle), "GenerateStream": many(self.handle)},
            "vllm.Control": {
                "GetModelInfo": one(self.model_info, response_serializer=to_bytes),
                "GetServerInfo": one(
                    self.server_info,
                    response_serializer=control_pb2.ServerInfo.SerializeToString,
                ),
                "Abort": one(
                    self.abort,
                    control_pb2.AbortRequest.FromString,
                    control_pb2.AbortResponse.SerializeToString,
                ),
            },
        }

    async def start(self, port=0):
        self.server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        services = self.services()
        if self.links is None and TRANSPORT.name == "link":
            self.links = ScriptedLink(self.handle)
        if self.links is not None:
            services |= self.links.services()
        for name, methods in services.items():
            handler = grpc.method_handlers_generic_handler(name, methods)
            self.server.add_generic_rpc_handlers((handler,))
        self.server.add_generic_rpc_handlers((self.unserved,))
        self.address = f"127.0.0.1:{self.server.add_insecure_port(f'127.0.0.1:{port}')}"
        await self.server.start()

    async def die(self):
        """Closes every connection at once, as the death of the process does."""
        await self.server.stop(None)


@contextlib.asynccontextmanager
async def scripted(script, **fields):
    server = Scripted(script, **fields)
    await server.start()
    try:
        yield server
    finally:
        await server.die()


def message(text, finish_tokens=0):
    """A response message, the last one where it counts the tokens."""
    outputs = inference_pb2.SequenceOutput(text=text, num_tokens=1)
    if finish_tokens:
        outputs.finish_info.num_output_tokens = finish_tokens
    return inference_pb2.GenerateResponse(outputs=outputs).SerializeToString()


def says(*texts):
    """A script that sends these texts, a token each, and ends well."""

    async def script(_raw, context):
        for count, text in enumerate(texts, 1):
            await context.write(message(text, count if count == len(texts) else 0))

    return script


def fails(code, details="scripted", after=(), trailers=()):
    """A script that sends texts and then ends with a status."""

    async def script(_raw, context):
        for text in after:
            await context.write(message(text))
        context.set_code(code)
        context.set_details(details)
        context.set_trailing_metadata(trailers)

    return script


async def hangs(_raw, context):
    """A script that sends one message and then nothing more."""
    await context.write(message("first"))
    await asyncio.Event().wait()


async def stays_silent(_raw, _context):
    """A script that never sends anything."""
    await asyncio.Event().wait()


async def error_of(call):
    """The error that a stream ends with, and the texts before it."""
    seen = []
    try:
        async for chunk in call:
            seen.append(chunk.outputs.text)  # noqa: PERF401 - they are wanted although it fails
    except grpc.aio.AioRpcError as error:
        return error, seen
    raise AssertionError("the stream ended well")


async def drained(call):
    """The rest of a stream that was begun with read()."""
    while (chunk := await call.read()) is not grpc.aio.EOF:
        yield chunk
