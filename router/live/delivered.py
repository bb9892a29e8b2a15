"""What an endpoint has sent of an answer, kept as bytes for the case that it must go on elsewhere.

Nothing is parsed: a message is appended to a buffer, framed so that the whole buffer reads as one
`spillway.v1.Delivered`. A stream whose buffer would outgrow its bound, or the bound on all of them
together, goes on without one; it cannot be resumed then, and its trailer says so.
"""

from collections.abc import Sequence
from typing import Final

from google.protobuf.message import DecodeError

from wire.spillway.v1.resume_pb2 import Delivered as Framed
from wire.vllm.inference_pb2 import GenerateResponse

_TAG: Final = b"\x0a"  # field 1, length-delimited


def _header(size: int) -> bytes:
    """The frame of a message of so many bytes: its tag, and its length as a varint."""
    header = bytearray(_TAG)
    while size > 0x7F:
        header.append(size & 0x7F | 0x80)
        size >>= 7
    header.append(size)
    return bytes(header)


_HEADERS: Final = tuple(_header(size) for size in range(512))


class ResumeMemory:
    """The bytes that all streams of a router keep, and how many they may."""

    def __init__(self, stream_bytes_max: int, bytes_max: int) -> None:
        self.stream_bytes_max = stream_bytes_max
        self.bytes_max = bytes_max
        self.used = 0


class Delivered:
    """The messages of one stream, as far as they are kept."""

    __slots__ = ("_bytes", "_memory", "_tokens", "ended", "lost", "messages")

    def __init__(self, memory: ResumeMemory) -> None:
        self._memory = memory
        self._bytes = bytearray()
        self._tokens = 0  # counted since they are not kept
        self.lost = ""  # why they are not kept
        self.ended = 0  # sequences whose last message was among those that are not kept
        self.messages = 0  # so far, kept or not

    def keep(self, message: bytes) -> None:
        """The next message on its way to the client."""
        self.messages += 1
        if self.lost:
            self._count(_parsed(message))
            return
        size = len(message)
        header = _HEADERS[size] if size < len(_HEADERS) else _header(size)
        self._bytes += header
        self._bytes += message
        memory = self._memory
        memory.used += len(header) + size
        if len(self._bytes) > memory.stream_bytes_max:
            self.lose(f"it is over {memory.stream_bytes_max} bytes, the most kept of one stream")
        elif memory.used > memory.bytes_max:
            self.lose(f"{memory.bytes_max} bytes, the most kept of all streams, are in use")

    def lose(self, why: str) -> None:
        """Keep them no longer, nor those that follow; they are counted still."""
        if not self.lost:
            for message in self.read():
                self._count(message)
            self.close()
            self.lost = why

    def read(self) -> Sequence[GenerateResponse]:
        """All messages in order; none where they are not kept, or where one is none."""
        try:
            return Framed.FromString(bytes(self._bytes)).messages
        except DecodeError:
            return ()

    @property
    def tokens(self) -> int:
        """How many tokens of output there are in them, kept or not."""
        return self._tokens + sum(_tokens_of(message) for message in self.read())

    def close(self) -> None:
        """The stream is over."""
        self._memory.used -= len(self._bytes)
        self._bytes = bytearray()

    def _count(self, message: GenerateResponse) -> None:
        self._tokens += _tokens_of(message)
        self.ended += message.outputs.HasField("finish_info")


def _parsed(message: bytes) -> GenerateResponse:
    """A message; an empty one for what is none."""
    try:
        return GenerateResponse.FromString(message)
    except DecodeError:
        return GenerateResponse()


def _tokens_of(message: GenerateResponse) -> int:
    return message.outputs.num_tokens or len(message.outputs.token_ids)
