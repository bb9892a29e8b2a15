"""Just enough of HTTP/2 to make and take gRPC streams faster than any proxy passes them on.

Both ends of a measurement must be cheaper than what stands between them, and no gRPC library in
Python is: here a message costs the copy of a ready-made frame on one side, and the reading of nine
bytes on the other. Headers are the library hpack's, once a request.
"""

import socket
from abc import abstractmethod
from collections.abc import Iterable
from typing import Final

import hpack

from benchmarks.dataplane.peer import Peer

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20
CANCEL: Final = 8  # the reason of a reset that a client asks for
FRAME_MAX: Final = 16_384  # what every peer takes, RFC 9113 section 4.2
WINDOW_DEFAULT: Final = 65_535
WINDOW_MAX: Final = 2**31 - 1
_HEAD: Final = 9
_WINDOW_LOW: Final = 1 << 30
_INITIAL_WINDOW, _MAX_STREAMS = 4, 3  # settings


class ProtocolError(Exception):
    """The peer sent what a gRPC peer does not send."""


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame."""
    return b"%b%c%c%b%b" % (
        len(payload).to_bytes(3, "big"),
        kind,
        flags,
        stream.to_bytes(4, "big"),
        payload,
    )


def grpc_message(message: bytes) -> bytes:
    """A message as gRPC puts it into a stream: not compressed."""
    return b"\0" + len(message).to_bytes(4, "big") + message


def headers(fields: Iterable[tuple[str, str]]) -> bytes:
    """A block of headers, of at most 126 bytes each, that leaves nothing in the peer's table."""
    return b"".join(
        b"\0%c%b%c%b" % (len(name), name.encode(), len(value), value.encode())
        for name, value in fields
    )


class Connection(Peer):
    """One end of a connection. Subclasses hear of headers, data, resets and wider windows."""

    def __init__(self, sock: socket.socket, *, is_client: bool) -> None:
        super().__init__(sock)
        self.window = WINDOW_DEFAULT  # what may be sent on all streams together
        self.stream_window = WINDOW_DEFAULT  # what may be sent on each that begins
        self._preface = not is_client
        self._credit = WINDOW_MAX
        self._decoder = hpack.Decoder()
        settings = _setting(_INITIAL_WINDOW, WINDOW_MAX) + _setting(_MAX_STREAMS, 2**31 - 1)
        if is_client:
            self.out.append(PREFACE)
        self.out.append(frame(SETTINGS, 0, 0, settings))
        self._widen(WINDOW_MAX - WINDOW_DEFAULT)

    def take(self, data: bytes, got: int) -> int:
        """See Peer: frames."""
        self._credit -= got
        if self._credit < _WINDOW_LOW:
            self._widen(WINDOW_MAX - self._credit)
            self._credit = WINDOW_MAX
        at, end = 0, len(data)
        if self._preface and end >= len(PREFACE):
            at, self._preface = len(PREFACE), False
        while at + _HEAD <= end and not self._preface:
            size = int.from_bytes(data[at : at + 3], "big")
            if at + _HEAD + size > end:
                break
            kind, flags = data[at + 3], data[at + 4]
            stream = int.from_bytes(data[at + 5 : at + _HEAD], "big")
            payload = data[at + _HEAD : at + _HEAD + size]
            at += _HEAD + size
            if kind == DATA:
                if flags & PADDED:
                    payload = payload[1 : size - payload[0]]
                self.on_data(stream, payload, ended=bool(flags & END_STREAM))
            else:
                self._control(kind, flags, stream, payload)
        return at

    def _control(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == HEADERS:
            if not flags & END_HEADERS:
                raise ProtocolError("headers in more than one frame")
            if flags & PADDED:
                payload = payload[1 : len(payload) - payload[0]]
            block = payload[5:] if flags & PRIORITY else payload
            found = {str(name): str(value) for name, value in self._decoder.decode(block)}
            self.on_headers(stream, found, ended=bool(flags & END_STREAM))
        elif kind == WINDOW_UPDATE:
            more = int.from_bytes(payload, "big")
            if stream == 0:
                self.window += more
            self.on_window(stream, more)
        elif kind == SETTINGS and not flags & ACK:
            self._settle(payload)
            self.out.append(frame(SETTINGS, ACK, 0))
        elif kind == PING and not flags & ACK:
            self.out.append(frame(PING, ACK, 0, payload))
        elif kind == RST_STREAM:
            self.on_reset(stream, int.from_bytes(payload, "big"))

    def _settle(self, payload: bytes) -> None:
        for at in range(0, len(payload), 6):
            name = int.from_bytes(payload[at : at + 2], "big")
            if name == _INITIAL_WINDOW:
                size = int.from_bytes(payload[at + 2 : at + 6], "big")
                self.on_window(-1, size - self.stream_window)
                self.stream_window = size

    def _widen(self, by: int) -> None:
        self.out.append(frame(WINDOW_UPDATE, 0, 0, by.to_bytes(4, "big")))

    @abstractmethod
    def on_headers(self, stream: int, found: dict[str, str], *, ended: bool) -> None:
        """A block of headers, or of trailers, came."""

    @abstractmethod
    def on_data(self, stream: int, payload: bytes, *, ended: bool) -> None:
        """Bytes of a stream came."""

    @abstractmethod
    def on_reset(self, stream: int, reason: int) -> None:
        """The peer ended a stream before its time."""

    @abstractmethod
    def on_window(self, stream: int, more: int) -> None:
        """More may be sent on a stream; on all of them together for 0, on each of them for -1."""


def _setting(name: int, value: int) -> bytes:
    return name.to_bytes(2, "big") + value.to_bytes(4, "big")
