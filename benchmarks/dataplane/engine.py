"""The fake engine: a server of vllm.Inference that answers by the clock and computes nothing.

`python -m benchmarks.dataplane.engine --interval-ms 20 --shape spread` prints its port and serves
until its standard input closes. The first message of a stream is sent at once, so that a stream's
TTFT is nothing but what stands between client and engine. What is due at one time goes out in one
write for each connection.
"""

import argparse
import heapq
import select
import socket
import sys
import time
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Final

from benchmarks.dataplane.http2 import (
    DATA,
    END_HEADERS,
    END_STREAM,
    FRAME_MAX,
    HEADERS,
    Connection,
    frame,
    grpc_message,
    headers,
)
from benchmarks.dataplane.pace import Pace
from benchmarks.dataplane.peer import Peer
from wire.vllm import control_pb2, inference_pb2

MODEL: Final = "paced"
_CONNECTIONS_MAX: Final = 1_000  # select takes file descriptors under 1,024
_READ_EVERY_S: Final = 1.0
_BEGIN: Final = headers([(":status", "200"), ("content-type", "application/grpc")])
_GOOD: Final = headers([("grpc-status", "0")])
_UNIMPLEMENTED: Final = _BEGIN + headers([("grpc-status", "12")])


def token_message(*, with_id: bool = True) -> bytes:
    """What one engine step makes of one sequence: a token, its id and its text."""
    return _message(with_id=with_id).SerializeToString()


def last_message(tokens: int) -> bytes:
    """The same for the last token of so many."""
    message, finish = _message(with_id=True), inference_pb2.FinishInfo
    message.outputs.finish_info.CopyFrom(
        finish(num_output_tokens=tokens, finish_reason=finish.LENGTH)
    )
    return message.SerializeToString()


def _message(*, with_id: bool) -> inference_pb2.GenerateResponse:
    ids = [417] if with_id else []
    output = inference_pb2.SequenceOutput(text=" 417", num_tokens=1, token_ids=ids)
    return inference_pb2.GenerateResponse(outputs=output)


class Answering(Peer):
    """A connection with answers under way, whatever it speaks."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self.streams: dict[int, Stream] = {}

    @abstractmethod
    def pay(self, stream: "Stream") -> None:
        """Sends what a stream is owed, as far as it can."""

    def on_close(self) -> None:
        """See Peer: all of its requests are cancelled."""
        self.streams.clear()


class Stream:
    """One answer under way."""

    __slots__ = (
        "due",
        "frame",
        "id",
        "left",
        "method",
        "on",
        "owed",
        "request",
        "tokens",
        "window",
    )

    def __init__(
        self, on: Answering, number: int, *, method: str = "", window: int = 0, frame: bytes = b""
    ) -> None:
        """What HTTP/2 needs of it is its method, its window and the frame of a token."""
        self.on = on
        self.id = number
        self.method = method
        self.request = b""
        self.window = window
        self.frame = frame
        self.tokens = 0  # asked for
        self.left = 0  # messages that are not due yet
        self.owed = 0  # messages that are due, and wait for the window
        self.due = 0.0

    def __lt__(self, other: "Stream") -> bool:
        return self.due < other.due


class Engine:
    """All streams, by the time at which their next message is due."""

    def __init__(self, pace: Pace) -> None:
        self.pace = pace
        self.token = grpc_message(token_message())
        self.due: list[Stream] = []
        self.unary = {
            "/vllm.Control/GetModelInfo": control_pb2.ModelInfo(
                model_id=MODEL, served_model_name=MODEL
            ).SerializeToString(),
            "/vllm.Control/GetServerInfo": control_pb2.ServerInfo(
                engine_version="paced",
                instance_id=f"paced-{time.time_ns()}",
                max_running_requests=65_536,
            ).SerializeToString(),
            "/vllm.Control/Abort": b"",
        }

    def begin(self, stream: Stream, tokens: int, now: float) -> None:
        """Answers a request for so many tokens."""
        stream.tokens = stream.left = tokens
        stream.request = b""
        if self.pace.interval_s == 0:
            stream.owed, stream.left = stream.left, 0
            stream.on.pay(stream)
            return
        self._step(stream)
        if stream.left:
            stream.due = self.pace.first_due(now)
            heapq.heappush(self.due, stream)

    def run_due(self, now: float) -> set[Answering]:
        """Sends what is due; the connections that have something to flush."""
        touched: set[Answering] = set()
        due, interval_s = self.due, self.pace.interval_s
        while due and due[0].due <= now:
            stream = due[0]
            if stream.id not in stream.on.streams:  # it was cancelled
                heapq.heappop(due)
                continue
            self._step(stream)
            touched.add(stream.on)
            if stream.left:
                stream.due += interval_s
                heapq.heapreplace(due, stream)
            else:
                heapq.heappop(due)
        return touched

    def _step(self, stream: Stream) -> None:
        stream.left -= 1
        stream.owed += 1
        stream.on.pay(stream)


class EngineConnection(Connection, Answering):
    """The engine's side of a connection of gRPC's."""

    def __init__(self, sock: socket.socket, engine: Engine) -> None:
        super().__init__(sock, is_client=False)
        self._engine = engine

    def on_headers(self, stream: int, found: dict[str, str], *, ended: bool) -> None:
        """A request begins."""
        method = found.get(":path", "")
        if method in self._engine.unary or method == "/vllm.Inference/GenerateStream":
            self.streams[stream] = Stream(
                self,
                stream,
                method=method,
                window=self.stream_window,
                frame=frame(DATA, 0, stream, self._engine.token),
            )
            if ended:
                self._answer(self.streams[stream])
        else:
            last = END_HEADERS | END_STREAM
            self.out.append(frame(HEADERS, last, stream, _UNIMPLEMENTED))

    def on_data(self, stream: int, payload: bytes, *, ended: bool) -> None:
        """A request, or a part of one."""
        one = self.streams.get(stream)
        if one is not None:
            one.request += payload
            if ended:
                self._answer(one)

    def _answer(self, stream: Stream) -> None:
        self.out.append(frame(HEADERS, END_HEADERS, stream.id, _BEGIN))
        unary = self._engine.unary.get(stream.method)
        if unary is None:
            request = inference_pb2.GenerateRequest.FromString(stream.request[5:])
            tokens = request.stopping.max_new_tokens or 20
            self._engine.begin(stream, tokens, time.monotonic())
            return
        body = grpc_message(unary)
        self.window -= len(body)
        self.out.append(frame(DATA, 0, stream.id, body))
        self._end(stream)

    def pay(self, stream: Stream) -> None:
        """Sends what a stream is owed, as far as the windows let it."""
        size, out = len(self._engine.token), self.out
        if stream.owed == 1 and stream.left:
            if stream.window >= size and self.window >= size:
                stream.owed = 0
                stream.window -= size
                self.window -= size
                out.append(stream.frame)
            return
        bodies = stream.owed if stream.left else stream.owed - 1
        while bodies:
            room = min(stream.window, self.window, FRAME_MAX) // size
            if room <= 0:
                return
            count = min(room, bodies)
            out.append(frame(DATA, 0, stream.id, self._engine.token * count))
            bodies -= count
            stream.owed -= count
            stream.window -= count * size
            self.window -= count * size
        if stream.owed:
            self._pay_last(stream)

    def _pay_last(self, stream: Stream) -> None:
        last = grpc_message(last_message(stream.tokens))
        if min(stream.window, self.window) >= len(last):
            self.window -= len(last)
            stream.owed = 0
            self.out.append(frame(DATA, 0, stream.id, last))
            self._end(stream)

    def _end(self, stream: Stream) -> None:
        self.out.append(frame(HEADERS, END_HEADERS | END_STREAM, stream.id, _GOOD))
        del self.streams[stream.id]

    def on_window(self, stream: int, more: int) -> None:
        """Streams that wait for it go on."""
        if stream > 0:
            one = self.streams.get(stream)
            if one is not None:
                one.window += more
                if one.owed:
                    self.pay(one)
            return
        for one in list(self.streams.values()):
            one.window += more if stream < 0 else 0
            if one.owed:
                self.pay(one)

    def on_reset(self, stream: int, reason: int) -> None:
        """A request is cancelled."""
        _ = reason
        self.streams.pop(stream, None)


def serve(engine: Engine, accept: Callable[[socket.socket, Engine], Answering]) -> None:
    """Serve on a free loopback port, which is printed first, until standard input closes."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    listener.setblocking(False)
    print(listener.getsockname()[1], flush=True)
    open_now: set[Answering] = set()
    while True:
        now = time.monotonic()
        wait_s = max(0.0, engine.due[0].due - now) if engine.due else _READ_EVERY_S
        full = [one for one in open_now if one.wants_to_write]
        # Unlike poll and epoll, select waits for microseconds.
        ready, writable, _ = select.select([listener, sys.stdin, *open_now], full, [], wait_s)
        touched = engine.run_due(time.monotonic())
        touched.update(writable)
        for one in ready:
            if isinstance(one, Answering):
                one.receive()
                touched.add(one)
            elif one is sys.stdin:
                return
            elif len(open_now) < _CONNECTIONS_MAX:
                accepted = accept(listener.accept()[0], engine)
                open_now.add(accepted)
                touched.add(accepted)
        for one in touched:
            one.flush()
        open_now = {one for one in open_now if not one.closed}


def engine_of(prog: str, arguments: Sequence[str] | None = None) -> Engine:
    """The engine that the arguments of a command describe."""
    parser = argparse.ArgumentParser(prog=prog)
    parser.add_argument("--interval-ms", type=float, default=20.0)
    parser.add_argument("--shape", choices=("spread", "bursts"), default="spread")
    options = parser.parse_args(arguments)
    return Engine(Pace(options.interval_ms / 1000, options.shape))


if __name__ == "__main__":
    serve(engine_of("python -m benchmarks.dataplane.engine"), EngineConnection)
