"""Just enough HTTP/2 to send a gRPC server what no gRPC client would."""

import asyncio
import struct

from tests.waiting import DEADLINE_S

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS_FRAME = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"

DATA, HEADERS = 0x0, 0x1
END_STREAM, END_HEADERS = 0x1, 0x4


def frame(kind, flags, stream, payload):
    return (
        struct.pack(">I", len(payload))[1:]
        + bytes((kind, flags))
        + struct.pack(">I", stream)
        + payload
    )


def literal(name, value):
    """A header field as HPACK writes one that is not indexed; at most 126 bytes each."""
    return b"\x00" + bytes((len(name),)) + name + bytes((len(value),)) + value


def call(path, message, *headers):
    """All that a client sends for one unary call."""
    fields = [
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", path),
        (b":authority", b"test"),
        (b"te", b"trailers"),
        (b"content-type", b"application/grpc"),
        *headers,
    ]
    block = b"".join(literal(name, value) for name, value in fields)
    body = b"\x00" + struct.pack(">I", len(message)) + message
    return (
        PREFACE
        + SETTINGS_FRAME
        + frame(HEADERS, END_HEADERS, 1, block)
        + frame(DATA, END_STREAM, 1, body)
    )


async def exchange(port, sent, enough):
    """What a server answers to these bytes, up to `enough` of it or the end of the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    got = b""
    try:
        async with asyncio.timeout(DEADLINE_S):
            while not enough(got):
                chunk = await reader.read(65_536)
                if not chunk:
                    break
                got += chunk
    except ConnectionResetError:
        pass
    finally:
        writer.close()
    return got
