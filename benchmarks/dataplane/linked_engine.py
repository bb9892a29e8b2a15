"""The fake engine over a site link: what is due at one time goes out as one message.

`python -m benchmarks.dataplane.linked_engine --interval-ms 20 --shape spread` prints its port and
serves until its standard input closes. It answers as benchmarks.dataplane.engine does, and what it
says of its load is that there is none.
"""

import argparse
import asyncio
import contextlib
import heapq
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

import grpc
import grpc.aio

from benchmarks.dataplane.engine import MODEL, last_message, token_message
from benchmarks.dataplane.pace import Pace
from benchmarks.dataplane.process import serve_until_stdin_closes
from wire.spillway.v1 import link_pb2, load_pb2
from wire.vllm import control_pb2, inference_pb2

_REPORT_S: Final = 0.25
_FRAME_CHUNKS_MAX: Final = 2_000


@dataclass(slots=True, order=True)
class Session:
    """One answer under way, ordered by the time at which its next message is due."""

    due: float
    number: int
    tokens: int
    left: int
    cancelled: bool = False


class Link:
    """One link, and the sessions on it."""

    def __init__(self, pace: Pace, report: load_pb2.LoadReport) -> None:
        self._pace = pace
        self._report = report
        self._token = token_message()
        self._due: list[Session] = []
        self._sessions: dict[int, Session] = {}
        self._woken = asyncio.Event()
        self._reported = 0.0

    async def listen(self, messages: AsyncIterator[bytes]) -> None:
        """Opens and cancels what the router says."""
        async for raw in messages:
            up = link_pb2.Up.FromString(raw)
            now = time.monotonic()
            for opened in up.opened:
                request = inference_pb2.GenerateRequest.FromString(opened.request)
                tokens = request.stopping.max_new_tokens or 20
                session = Session(now, opened.session, tokens, tokens)
                self._sessions[session.number] = session
                heapq.heappush(self._due, session)
            for number in up.cancelled:
                if number in self._sessions:
                    self._sessions.pop(number).cancelled = True
            self._woken.set()

    async def frames(self) -> AsyncIterator[bytes]:
        """What goes down, as long as the router listens."""
        while True:
            frame = self._step(time.monotonic())
            if frame.chunks or frame.HasField("load"):
                yield frame.SerializeToString()
                continue
            wait_s = min(_REPORT_S, self._due[0].due - time.monotonic() if self._due else _REPORT_S)
            self._woken.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, wait_s)):
                    await self._woken.wait()

    def _step(self, now: float) -> link_pb2.Down:
        frame = link_pb2.Down()
        if now - self._reported >= _REPORT_S:
            self._reported = now
            self._report.sequence += 1
            frame.load.CopyFrom(self._report)
        due = self._due
        chunks: list[bytes] = []
        numbers: list[int] = []
        while due and due[0].due <= now and len(chunks) < _FRAME_CHUNKS_MAX:
            session = due[0]
            if session.cancelled:
                heapq.heappop(due)
                continue
            session.left -= 1
            numbers.append(session.number)
            chunks.append(self._token if session.left else last_message(session.tokens))
            if not session.left:
                heapq.heappop(due)
                del self._sessions[session.number]
                frame.ended.add(session=session.number)
                continue
            if self._pace.interval_s:
                first = session.left == session.tokens - 1
                session.due = (
                    self._pace.first_due(now) if first else session.due + self._pace.interval_s
                )
            heapq.heapreplace(due, session)
        frame.sessions.extend(numbers)
        frame.chunks.extend(chunks)
        return frame


class LinkedEngine(grpc.GenericRpcHandler):
    """Serves links and what a router asks before it has one."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._report = load_pb2.LoadReport(
            instance_id=f"paced-{time.time_ns()}", link=True, max_running_requests=65_536
        )
        model = control_pb2.ModelInfo(model_id=MODEL, served_model_name=MODEL)
        server = control_pb2.ServerInfo(engine_version="paced", max_running_requests=65_536)
        self._unary = {
            "/vllm.Control/GetModelInfo": model.SerializeToString(),
            "/vllm.Control/GetServerInfo": server.SerializeToString(),
            "/vllm.Control/Abort": b"",
        }

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        """The handler of a method; None, which answers UNIMPLEMENTED, for every other."""
        answer = self._unary.get(details.method)
        if answer is not None:

            async def unary(_raw: bytes, _context: Any) -> bytes:
                return answer

            return grpc.unary_unary_rpc_method_handler(unary)
        match details.method:
            case "/spillway.v1.Load/Watch":
                return grpc.unary_stream_rpc_method_handler(self._watch)
            case "/spillway.v1.Link/Connect":
                return grpc.stream_stream_rpc_method_handler(self._connect)
            case _:
                return None

    async def _watch(self, _raw: bytes, _context: Any) -> AsyncIterator[bytes]:
        while True:
            self._report.sequence += 1
            yield self._report.SerializeToString()
            await asyncio.sleep(_REPORT_S)

    async def _connect(self, messages: AsyncIterator[bytes], _context: Any) -> AsyncIterator[bytes]:
        link = Link(self._pace, self._report)
        listening = asyncio.create_task(link.listen(messages))
        try:
            async for frame in link.frames():
                yield frame
        finally:
            listening.cancel()


async def main() -> None:
    """Serve until standard input closes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dataplane.linked_engine")
    parser.add_argument("--interval-ms", type=float, default=20.0)
    parser.add_argument("--shape", choices=("spread", "bursts"), default="spread")
    options = parser.parse_args()
    await serve_until_stdin_closes(LinkedEngine(Pace(options.interval_ms / 1000, options.shape)))


if __name__ == "__main__":
    asyncio.run(main())
