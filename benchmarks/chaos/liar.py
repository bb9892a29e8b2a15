"""A server in front of a replica that passes everything on as it is, but for its load reports.

It listens to the replica's reports from its start, and makes up its own from them, at a steady pace
and with numbers of their own, so that nothing but what they say gives them away.
"""

import asyncio
import contextlib
import itertools
import time
from collections import deque
from collections.abc import AsyncIterator
from enum import Enum
from typing import Any, Self

import grpc
import grpc.aio

from wire.spillway.v1 import load_pb2, load_pb2_grpc

LATE_S = 30.0
INTERVAL_S = 0.2
HEARD_WITHIN_S = 60.0
HISTORY_MAX = 4096  # reports: several minutes of a busy replica's
_WATCH = "/spillway.v1.Load/Watch"
_STREAMS = frozenset({"/vllm.Inference/GenerateStream", "/grpc.health.v1.Health/Watch"})


class Lie(Enum):
    """What is wrong with the reports."""

    FROZEN = "frozen"  # what was true when the lie began
    EMPTY = "empty"  # nothing runs and nothing waits
    LATE = "late"  # what was true LATE_S ago, or at the start where that is later


class Liar(grpc.GenericRpcHandler):
    """Serves at `address` between the entry and the end of an `async with` block."""

    def __init__(self, target: str) -> None:
        self._lie = Lie.EMPTY
        self._target = target
        self._channel = grpc.aio.insecure_channel(target)
        self._server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
        self._server.add_generic_rpc_handlers((self,))
        self._history: deque[tuple[float, load_pb2.LoadReport]] = deque(maxlen=HISTORY_MAX)
        self._frozen = load_pb2.LoadReport()
        self._identity = load_pb2.Identity()
        self._sequence = itertools.count(1)
        self._heard = asyncio.Event()  # a report
        self._hearing: asyncio.Task[None] | None = None
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    async def tell(self, lie: Lie) -> None:
        """From now on, this lie. Raises TimeoutError where the replica reports nothing."""
        async with asyncio.timeout(HEARD_WITHIN_S):
            await self._heard.wait()
        self._lie = lie
        self._frozen = self._history[-1][1]

    async def lead(self, target: str) -> None:
        """Stand in front of the replica at this address: the one before may have been replaced."""
        if target == self._target:
            return
        await self._deafen()
        await self._channel.close()
        self._target, self._channel = target, grpc.aio.insecure_channel(target)
        self._history.clear()
        self._heard.clear()
        self._hearing = asyncio.create_task(self._hear())

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        """A handler for whatever method is asked for, by bytes."""
        method = details.method
        if method == _WATCH:
            return grpc.unary_stream_rpc_method_handler(self._watch)
        if method in _STREAMS:

            async def stream(raw: bytes, context: Any) -> None:
                await self._stream(method, raw, context)

            return grpc.unary_stream_rpc_method_handler(stream)

        async def once(raw: bytes, context: Any) -> bytes:
            return await self._once(method, raw, context)

        return grpc.unary_unary_rpc_method_handler(once)

    async def __aenter__(self) -> Self:
        await self._server.start()
        self._hearing = asyncio.create_task(self._hear())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._deafen()
        await self._server.stop(None)
        await self._channel.close()

    async def _deafen(self) -> None:
        if self._hearing is not None:
            self._hearing.cancel()
            await asyncio.gather(self._hearing, return_exceptions=True)

    async def _hear(self) -> None:
        while True:
            call = load_pb2_grpc.LoadStub(self._channel).Watch(load_pb2.WatchLoadRequest())
            with contextlib.suppress(grpc.aio.AioRpcError):
                async for report in call:
                    if report.HasField("identity"):  # in the first report alone
                        self._identity = report.identity
                    self._history.append((time.monotonic(), report))
                    self._heard.set()
            await asyncio.sleep(INTERVAL_S)

    async def _watch(self, _raw: bytes, _context: Any) -> AsyncIterator[bytes]:
        while True:
            if self._history:
                told = load_pb2.LoadReport()
                told.CopyFrom(self._told())
                told.ClearField("prefix")
                told.identity.CopyFrom(self._identity)
                told.sequence = next(self._sequence)
                yield told.SerializeToString()
            await asyncio.sleep(INTERVAL_S)

    def _told(self) -> load_pb2.LoadReport:
        match self._lie:
            case Lie.FROZEN:
                return self._frozen
            case Lie.LATE:
                due_s = time.monotonic() - LATE_S
                old = [report for at_s, report in self._history if at_s <= due_s]
                return old[-1] if old else self._history[0][1]
            case Lie.EMPTY:
                told = load_pb2.LoadReport()
                told.CopyFrom(self._history[-1][1])
                told.running_requests = told.waiting_requests = told.queued_prefill_tokens = 0
                told.kv_usage = 0.0
                return told

    async def _once(self, method: str, raw: bytes, context: Any) -> bytes:
        call = self._channel.unary_unary(method)(raw, metadata=_passed(context))
        try:
            answer: bytes = await call
        except grpc.aio.AioRpcError as error:
            await context.abort(error.code(), error.details())
        return answer

    async def _stream(self, method: str, raw: bytes, context: Any) -> None:
        call = self._channel.unary_stream(method)(raw, metadata=_passed(context))
        try:
            async for message in call:
                await context.write(message)
            context.set_trailing_metadata(tuple(await call.trailing_metadata()))
        except grpc.aio.AioRpcError as error:
            context.set_trailing_metadata(tuple(error.trailing_metadata() or ()))
            context.set_code(error.code())
            context.set_details(error.details())
        finally:
            call.cancel()


def _passed(context: Any) -> tuple[tuple[str, str | bytes], ...]:
    return tuple((k, v) for k, v in context.invocation_metadata() or () if k != "user-agent")
