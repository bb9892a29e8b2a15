"""The trailers of a call as they are on the wire: gRPC's own client keeps some to itself."""

import asyncio
import base64
import socket

from tests.attack.raw import Http2
from tests.waiting import DEADLINE_S


async def trailers_of(port, path, request, *metadata):
    """The trailers that a server of this machine ends a call with; binary ones are decoded."""
    return await asyncio.to_thread(_asked, port, path, request.SerializeToString(), metadata)


def _asked(port, path, raw, metadata):
    fields = [(key.encode(), value.encode()) for key, value in metadata]
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as sock:
        http2 = Http2(sock)
        http2.begin(1, path.encode(), *fields)
        http2.message(1, raw)
        http2.read_until(lambda one: 1 in one.trailers)
    found = {key.decode(): value for key, value in http2.trailers[1].items()}
    return {
        key: base64.b64decode(value + b"=" * (-len(value) % 4)) if key.endswith("-bin") else value
        for key, value in found.items()
    }
