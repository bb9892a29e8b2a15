"""The load client: calls over raw HTTP/2, on one thread."""

import select
import socket
import time
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from benchmarks.dataplane.engine import MODEL, token_message
from benchmarks.dataplane.http2 import (
    CANCEL,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    RST_STREAM,
    Connection,
    frame,
    grpc_message,
    headers,
)
from benchmarks.dataplane.peer import Peer
from wire.vllm import inference_pb2

GENERATE: Final = "/vllm.Inference/GenerateStream"
_ONE_TOKEN: Final = frozenset({token_message(), token_message(with_id=False)})
_PREFIX: Final = 5  # bytes before each gRPC message
_WAIT_S: Final = 0.05


@dataclass(slots=True)
class Seen:
    """What the client saw: times in seconds. Tokens, because messages may come put together."""

    tokens: int = 0
    messages: int = 0
    requests: int = 0
    ttft_s: list[float] = field(default_factory=list)
    gaps_s: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)


class Asking(Peer):
    """The client's side of a connection, whatever it speaks."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self.calls: dict[int, Call] = {}
        self.seen = Seen()

    @abstractmethod
    def send(self, call: "Call") -> int:
        """Begins a call; its number."""

    def count(self, call: "Call", tokens: int, messages: int) -> None:
        """So much of an answer has come."""
        now, seen = time.perf_counter(), self.seen
        if call.tokens:
            seen.gaps_s.append(now - call.last_s)
        else:
            seen.ttft_s.append(now - call.begun_s)
        call.last_s = now
        call.tokens += tokens
        seen.tokens += tokens
        seen.messages += messages

    def end(self, call: "Call", error: str) -> None:
        """An answer is over; `error` says what is wrong with it, if anything is."""
        del self.calls[call.id]
        if error:
            self.seen.errors[error] += 1
        else:
            self.seen.requests += 1
        call.on_end(call)

    def on_close(self) -> None:
        """See Peer: everything that was open here is lost."""
        for call in list(self.calls.values()):
            self.end(call, "the connection was lost")


class Call:
    """One stream, from its request to its end."""

    __slots__ = ("asked", "begun_s", "bytes", "id", "last_s", "on", "on_end", "tokens", "window")

    def __init__(self, on: Asking, asked: int, on_end: Callable[["Call"], None]) -> None:
        self.on = on
        self.asked = asked  # tokens
        self.on_end = on_end
        self.tokens = 0
        self.begun_s = time.perf_counter()
        self.last_s = 0.0
        self.bytes = b""  # of a message that has not come whole
        self.id = on.send(self)


def generate_request(tokens: int) -> bytes:
    """A request for so many tokens, as gRPC sends it."""
    request = inference_pb2.GenerateRequest(model=MODEL, text="count")
    request.stopping.max_new_tokens = tokens
    return grpc_message(request.SerializeToString())


def connected(address: str) -> socket.socket:
    """A socket to host:port."""
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=5)


class ClientConnection(Connection, Asking):
    """The client's side of a connection of gRPC's."""

    def __init__(self, address: str, seen: Seen) -> None:
        super().__init__(connected(address), is_client=True)
        self.seen = seen
        self._next_id = 1
        self._headers = headers(
            [
                (":method", "POST"),
                (":scheme", "http"),
                (":path", GENERATE),
                (":authority", address),
                ("te", "trailers"),
                ("content-type", "application/grpc"),
            ]
        )

    def send(self, call: Call) -> int:
        """See Asking."""
        number, self._next_id = self._next_id, self._next_id + 2
        self.calls[number] = call
        self.out.append(frame(HEADERS, END_HEADERS, number, self._headers))
        self.out.append(frame(DATA, END_STREAM, number, generate_request(call.asked)))
        return number

    def cancel(self, call: Call) -> None:
        """Ends it; nothing more is heard of it."""
        if self.calls.pop(call.id, None) is not None:
            self.out.append(frame(RST_STREAM, 0, call.id, CANCEL.to_bytes(4, "big")))

    def on_data(self, stream: int, payload: bytes, *, ended: bool) -> None:
        """Messages, or parts of them."""
        call = self.calls.get(stream)
        if call is None:
            return
        if call.bytes:
            payload = call.bytes + payload
        at, tokens, messages = 0, 0, 0
        while at + _PREFIX <= len(payload):
            end = at + _PREFIX + int.from_bytes(payload[at + 1 : at + _PREFIX], "big")
            if end > len(payload):
                break
            tokens += self._tokens_of(payload[at + _PREFIX : end])
            messages += 1
            at = end
        call.bytes = payload[at:]
        if messages:
            self.count(call, tokens, messages)
        if ended:
            self.end(call, "the stream ended without trailers")

    def _tokens_of(self, message: bytes) -> int:
        if message in _ONE_TOKEN:
            return 1
        return inference_pb2.GenerateResponse.FromString(message).outputs.num_tokens

    def on_headers(self, stream: int, found: dict[str, str], *, ended: bool) -> None:
        """How an answer begins, or how it ends."""
        call = self.calls.get(stream)
        if call is None or not ended:
            return
        if found.get("grpc-status") != "0":
            reason = f"status {found.get('grpc-status')}: {found.get('grpc-message', '')}"
            self.end(call, reason)
        elif call.tokens != call.asked:
            self.end(call, f"{call.tokens} tokens of {call.asked}")
        else:
            self.end(call, "")

    def on_reset(self, stream: int, reason: int) -> None:
        """The server ended a stream."""
        call = self.calls.get(stream)
        if call is not None:
            self.end(call, f"reset for reason {reason}")

    def on_window(self, stream: int, more: int) -> None:
        """Nothing waits for it: a request is some tens of bytes, and fits any window."""


def turn(connections: Sequence[Asking], wait_s: float) -> None:
    """Sends what waits, and takes what comes within this time."""
    live = [one for one in connections if not one.closed]
    for one in live:
        one.flush()
    full = [one for one in live if one.wants_to_write]
    ready, _, _ = select.select([one for one in live if not one.closed], full, [], wait_s)
    for one in ready:
        one.receive()
