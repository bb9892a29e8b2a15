"""HTTP/2 by hand, over a connection that is there already: what no client's library would send."""

import contextlib
import struct
import time

import hpack

from tests.router.live.http2 import END_HEADERS, END_STREAM, HEADERS, PREFACE, SETTINGS_FRAME, frame
from tests.waiting import DEADLINE_S

RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 3, 4, 6, 7, 8, 9
_HEAD = 9


def number(value, bits, mark):
    """An integer as HPACK writes it, behind the mark of its kind."""
    most = (1 << bits) - 1
    if value < most:
        return bytes((mark | value,))
    rest, out = value - most, bytearray((mark | most,))
    while rest >= 128:
        out.append(rest % 128 | 128)
        rest //= 128
    out.append(rest)
    return bytes(out)


def literal(name, value, *, indexed=False):
    """A header field of any length; with `indexed` the peer is to keep it in its table."""
    mark = b"\x40" if indexed else b"\x00"
    return mark + number(len(name), 7, 0) + name + number(len(value), 7, 0) + value


def block(path, *fields):
    """The headers of a gRPC call."""
    given = (
        (b":method", b"POST"),
        (b":scheme", b"https"),
        (b":path", path),
        (b":authority", b"front"),
        (b"te", b"trailers"),
        (b"content-type", b"application/grpc"),
        *fields,
    )
    return b"".join(literal(name, value) for name, value in given)


class Http2:
    """The client's end of a connection, which reads only when it is told to."""

    def __init__(self, sock, *, settings=SETTINGS_FRAME):
        self.sock = sock
        self._decoder = hpack.Decoder()
        self._unread = b""
        self.statuses = {}  # of gRPC, by stream
        self.trailers = {}  # all of them, as they come, by stream
        self.resets = set()
        self.is_closed = self.is_settled = False
        self.send(PREFACE + settings)

    def settled(self):
        """The same, once it has acknowledged the peer's settings, by which it is held to them."""
        self.read_until(lambda one: one.is_settled)
        return self

    def send(self, data):
        """What a peer that has closed does not take is lost."""
        with contextlib.suppress(OSError):
            self.sock.sendall(data)
            return True
        self.is_closed = True
        return False

    def begin(self, stream, path, *fields):
        """The headers of a call."""
        return self.send(frame(HEADERS, END_HEADERS, stream, block(path, *fields)))

    def begin_block(self, stream, path, more):
        """The same, with headers that are written already."""
        return self.send(frame(HEADERS, END_HEADERS, stream, block(path) + more))

    def message(self, stream, raw, *, ends=True):
        """A message of a call."""
        body = b"\0" + struct.pack(">I", len(raw)) + raw
        return self.send(frame(0, END_STREAM if ends else 0, stream, body))

    def reset(self, stream):
        """The call is over, says its client."""
        return self.send(frame(RST_STREAM, 0, stream, struct.pack(">I", 8)))

    def read_until(self, condition, within_s=DEADLINE_S):
        """Takes what the peer sends until a condition holds, or the connection ends.

        One of both has to come: a peer that does neither in time has failed the test.
        """
        give_up_s = time.monotonic() + within_s
        while not (condition(self) or self.is_closed):
            self.sock.settimeout(max(0.001, give_up_s - time.monotonic()))
            try:
                got = self.sock.recv(65_536)
            except TimeoutError:
                raise AssertionError(f"neither that nor an end within {within_s:g} s") from None
            except OSError:
                got = b""
            if not got:
                self.is_closed = True
                return
            self._take(got)

    def take_ready(self):
        """Takes what is there already."""
        self.sock.settimeout(0.0)
        with contextlib.suppress(OSError):
            while got := self.sock.recv(65_536):
                self._take(got)
        self.sock.settimeout(DEADLINE_S)

    def _take(self, got):
        data = self._unread + got
        while len(data) >= _HEAD:
            size = int.from_bytes(data[:3], "big")
            if len(data) < _HEAD + size:
                break
            kind, flags = data[3], data[4]
            stream = int.from_bytes(data[5:_HEAD], "big")
            payload, data = data[_HEAD : _HEAD + size], data[_HEAD + size :]
            if kind == HEADERS:
                found = dict(self._decoder.decode(payload, raw=True))
                if b"grpc-status" in found:
                    self.statuses[stream] = int(found[b"grpc-status"])
                    self.trailers[stream] = found
            elif kind == RST_STREAM:
                self.resets.add(stream)
            elif kind == GOAWAY:
                self.is_closed = True
            elif kind == PING and not flags & 1:
                self.send(frame(PING, 1, 0, payload))
            elif kind == SETTINGS and not flags & 1:
                self.is_settled = self.send(frame(SETTINGS, 1, 0, b""))
        self._unread = data

    def close(self):
        self.sock.close()
