"""The fake engine behind OpenAI's API: text completions as events, at the same pace.

`python -m benchmarks.dataplane.openai_engine --interval-ms 20 --shape spread` prints its port and
serves until its standard input closes. It is what the routers that speak OpenAI's API stand in
front of, and answers what they ask before they send anything there.
"""

import json
import socket
import time
from typing import Any, Final

from benchmarks.dataplane.engine import MODEL, Answering, Engine, Stream, engine_of, serve
from benchmarks.dataplane.http1 import LAST_CHUNK, Head, chunk, read_head

_ALIVE: Final = {"status": "ok"}
_INFO: Final = {"model_path": MODEL, "served_model_name": MODEL, "version": "1"}
_PAGES: Final[dict[str, dict[str, Any]]] = {
    "/v1/models": {"object": "list", "data": [{"id": MODEL, "object": "model"}]},
    **dict.fromkeys(("/health", "/health_generate"), _ALIVE),
    **dict.fromkeys(("/get_model_info", "/get_server_info", "/server_info", "/model_info"), _INFO),
}
_BEGIN: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)


def _event(finish: str | None) -> bytes:
    choice = {"index": 0, "text": " 417", "logprobs": None, "finish_reason": finish}
    body = {"id": "paced", "object": "text_completion", "created": 0, "model": MODEL}
    return f"data: {json.dumps({**body, 'choices': [choice]})}\n\n".encode()


TOKEN: Final = chunk(_event(None))
LAST: Final = chunk(_event("length")) + chunk(b"data: [DONE]\n\n") + LAST_CHUNK


class OpenAiConnection(Answering):
    """The engine's side of a connection of HTTP's: one answer at a time."""

    def __init__(self, sock: socket.socket, engine: Engine) -> None:
        super().__init__(sock)
        self._engine = engine
        self._requests = 0

    def take(self, data: bytes, got: int) -> int:
        """See Peer: requests, of which no client sends one during the answer to another."""
        _ = got
        at = 0
        while (head := read_head(data, at)) is not None:
            if not head.first.endswith("HTTP/1.1"):  # some routers try gRPC first
                self.close()
                return len(data)
            body = at + head.size
            end = body + int(head.fields.get("content-length", "0"))
            if end > len(data):
                break
            self._answer(head, data[body:end])
            at = end
        return at

    def _answer(self, head: Head, body: bytes) -> None:
        method, path, _ = head.first.split(" ", 2)
        if method == "POST" and path == "/v1/completions":
            self._requests += 1
            stream = self.streams[self._requests] = Stream(self, self._requests)
            self.out.append(_BEGIN)
            tokens = json.loads(body).get("max_tokens") or 16
            self._engine.begin(stream, tokens, time.monotonic())
            return
        page = _PAGES.get(path)
        said = b"" if page is None else json.dumps(page).encode()
        status = b"404 Not Found" if page is None else b"200 OK"
        self.out.append(
            b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
            % (status, len(said), said)
        )

    def pay(self, stream: Stream) -> None:
        """See Answering: what the socket does not take waits here."""
        if stream.left:
            self.out.append(TOKEN * stream.owed)
        else:
            self.out.append(TOKEN * (stream.owed - 1) + LAST)
            del self.streams[stream.id]
        stream.owed = 0


if __name__ == "__main__":
    serve(engine_of("python -m benchmarks.dataplane.openai_engine"), OpenAiConnection)
