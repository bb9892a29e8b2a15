"""Just enough of HTTP/1.1 to serve and to take events as OpenAI's API streams them.

One request at a time on each connection, with its length told; answers in chunks, one for each
message, as every server of such a stream sends them.
"""

from typing import Final, NamedTuple

END_OF_HEAD: Final = b"\r\n\r\n"
LAST_CHUNK: Final = b"0\r\n\r\n"
_HEAD_BYTES_MAX: Final = 64 * 1024


class ProtocolError(Exception):
    """The peer sent what no HTTP peer of a benchmark sends."""


class Head(NamedTuple):
    """What comes before a body."""

    first: str  # the request line, or the status line
    fields: dict[str, str]
    size: int  # in bytes, with the empty line behind it


def read_head(data: bytes, at: int) -> Head | None:
    """The head that begins there; None where it has not come whole."""
    end = data.find(END_OF_HEAD, at)
    if end < 0:
        if len(data) - at > _HEAD_BYTES_MAX:
            raise ProtocolError("a head without an end")
        return None
    first, *lines = data[at:end].decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    fields = {name.strip().lower(): value.strip() for name, _, value in pairs}
    return Head(first, fields, end + len(END_OF_HEAD) - at)


def chunk(payload: bytes) -> bytes:
    """One chunk of a body."""
    return b"%x\r\n%b\r\n" % (len(payload), payload)


def read_chunk(data: bytes, at: int) -> tuple[bytes, int] | None:
    """The chunk that begins there, and where the next one does; None where it is not whole.

    The last chunk is empty.
    """
    line = data.find(b"\r\n", at)
    if line < 0:
        return None
    try:
        size = int(data[at:line].partition(b";")[0], 16)
    except ValueError:
        raise ProtocolError(f"a chunk that begins with {data[at : at + 20]!r}") from None
    end = line + 2 + size
    if end + 2 > len(data):
        return None
    return data[line + 2 : end], end + 2
