"""The load client's side of OpenAI's API: text completions as events, a stream a connection."""

import json
from typing import Final

from benchmarks.dataplane.client import Asking, Call, Seen, connected
from benchmarks.dataplane.engine import MODEL
from benchmarks.dataplane.http1 import END_OF_HEAD, read_chunk, read_head

_TOKEN: Final = b" 417"  # the text of each, and of nothing else in an event
_DONE: Final = b"data: [DONE]"
_END_OF_EVENT: Final = b"\n\n"
_SHOWN_MAX: Final = 200  # characters of an answer that is no stream


class OpenAiClientConnection(Asking):
    """One connection, and one call at a time on it. A server that closes it is connected to anew.

    Tokens are counted by their text, because a router may put several into one event, and may
    write them in any form that JSON has.
    """

    def __init__(self, address: str, seen: Seen) -> None:
        super().__init__(connected(address))
        self.seen = seen
        self._address = address
        self._sent = 0
        self._is_body = False
        self._closes = False  # after this answer
        self._is_done = False  # the event that says so has come
        self._event = b""  # one that has not come whole

    def send(self, call: Call) -> int:
        """See Asking."""
        self._sent += 1
        self.calls[self._sent] = call
        asked = {"model": MODEL, "prompt": "count", "max_tokens": call.asked, "stream": True}
        body = json.dumps(asked).encode()
        self.out.append(
            b"POST /v1/completions HTTP/1.1\r\nHost: %b\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d%b%b" % (self._address.encode(), len(body), END_OF_HEAD, body)
        )
        self._is_body = self._closes = self._is_done = False
        self._event = b""
        return self._sent

    def take(self, data: bytes, got: int) -> int:
        """See Peer: the head of an answer, and its chunks."""
        _ = got
        at = 0
        if not self._is_body:
            head = read_head(data, 0)
            if head is None:
                return 0
            if "chunked" not in head.fields.get("transfer-encoding", ""):
                self._refused(head.first, data[head.size :])
                return len(data)
            self._is_body, at = True, head.size
            self._closes = head.fields.get("connection", "").lower() == "close"
        payloads: list[bytes] = []
        while (found := read_chunk(data, at)) is not None:
            payload, at = found
            if not payload:
                self._take_events(b"".join(payloads))
                self._finish()
                return len(data)
            payloads.append(payload)
        self._take_events(b"".join(payloads))
        return at

    def _take_events(self, payload: bytes) -> None:
        call = next(iter(self.calls.values()), None)
        if call is None or not payload:
            return
        whole, end, self._event = (self._event + payload).rpartition(_END_OF_EVENT)
        if not end:
            return
        self._is_done = self._is_done or _DONE in whole
        tokens = whole.count(_TOKEN)
        if tokens:
            self.count(call, tokens, sum(_TOKEN in one for one in whole.split(_END_OF_EVENT)))

    def _refused(self, status: str, body: bytes) -> None:
        said = body.decode(errors="replace")[:_SHOWN_MAX]
        self._connect()  # the rest of it may be on its way
        for call in list(self.calls.values()):
            self.end(call, f"{status}: {said}")

    def _finish(self) -> None:
        if self._closes:
            self._connect()
        for call in list(self.calls.values()):
            if not self._is_done:
                self.end(call, "the stream ended without [DONE]")
            elif call.tokens != call.asked:
                self.end(call, f"{call.tokens} tokens of {call.asked}")
            else:
                self.end(call, "")

    def _connect(self) -> None:
        self.sock.close()
        self.adopt(connected(self._address))
