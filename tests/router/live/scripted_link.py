"""A link to a scripted server: its script answers sessions as it answers calls.

It has load reports, without which no router would know of the link, and says nothing in them.
"""

import asyncio
import contextlib
import time

import grpc

from serving.engine import EngineInfo, EngineLoad
from serving.lease_ledger import LeaseLedger
from serving.link import LinkService
from serving.load import LoadBoard
from wire.spillway.v1 import link_pb2, load_pb2


class Idle:
    """What a load board asks of an engine."""

    info = EngineInfo(
        version="",
        model_id="",
        served_names=("scripted",),
        attention_backend="",
        max_model_len=1000,
        vocab_size=257,
        eos_token_id=None,
        kv_block_size=16,
        total_kv_blocks=10,
        max_running_requests=0,
        max_batched_tokens=0,
        max_logprobs=0,
    )

    def load(self):
        return EngineLoad()

    def itl_s_p95(self):
        return 0.0

    def check(self):
        pass

    def on_load(self, listener):
        pass

    def on_prefix_change(self, listener):
        return False


class Written:
    """Bytes that a script wrote, as a message."""

    def __init__(self, raw):
        self._raw = raw

    def SerializeToString(self):
        return self._raw


class Context:
    """What a script uses of a call's context, for a session."""

    def __init__(self, session):
        self._session = session
        self._until_s = time.monotonic() + (session.timeout_s or 0)
        self.written = asyncio.Queue()
        self.room = asyncio.Semaphore(1)
        self.set_code = session.set_code
        self.set_details = session.set_details
        self.set_trailing_metadata = session.set_trailing_metadata
        self.invocation_metadata = session.invocation_metadata

    def time_remaining(self):
        return self._until_s - time.monotonic()

    async def write(self, raw):
        await self.room.acquire()
        self.written.put_nowait(Written(raw))


class ScriptedLink(LinkService):
    """Serves spillway.v1.Link and Load for a scripted server."""

    def __init__(self, handle):
        self._handle = handle
        self.board = LoadBoard(Idle(), "scripted", LeaseLedger(), takes_leases=False)

    def counted(self):
        return contextlib.nullcontext()

    async def GenerateStream(self, request, session):
        raw = request.SerializeToString()
        context = Context(session)
        script = asyncio.create_task(self._handle(raw, context))
        script.add_done_callback(lambda _: context.written.put_nowait(None))
        try:
            while (message := await context.written.get()) is not None:
                yield message
                context.room.release()
            script.result()
        finally:
            script.cancel()

    def services(self):
        to_bytes = load_pb2.LoadReport.SerializeToString
        return {
            "spillway.v1.Link": {
                "Connect": grpc.stream_stream_rpc_method_handler(
                    self.Connect, link_pb2.Up.FromString, _to_bytes
                )
            },
            "spillway.v1.Load": {
                "Watch": grpc.unary_stream_rpc_method_handler(
                    self._watch, load_pb2.WatchLoadRequest.FromString, to_bytes
                )
            },
        }

    async def _watch(self, request, _context):
        async for report in self.board.watch(request):
            yield report


def _to_bytes(message):
    return message.SerializeToString()
