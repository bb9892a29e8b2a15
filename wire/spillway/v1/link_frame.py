"""What is to go down a link next: chunks and ends on their way into messages."""

from collections import deque

from wire.spillway.v1 import link_pb2 as pb
from wire.spillway.v1.link_session import LinkSession
from wire.spillway.v1.load_pb2 import LoadReport

CHUNK_OVERHEAD_BYTES = 16
"""Of a chunk in a message: two tags, a length and a session number."""

_ENDED_OVERHEAD_BYTES = 6
"""Of an end in a message, beside itself: a tag and a length."""


class Frame:
    """A Down message that grows until it is taken."""

    __slots__ = ("_chunk_bytes", "_chunks", "_ended", "_ended_bytes", "_sessions")

    def __init__(self) -> None:
        self._sessions: list[int] = []
        self._chunks: list[bytes] = []
        self._chunk_bytes = 0
        self._ended: deque[tuple[pb.Ended, int]] = deque()  # with their sizes
        self._ended_bytes = 0

    @property
    def size(self) -> int:
        """Of all that waits, in bytes."""
        return self._chunk_bytes + self._ended_bytes

    def add(self, session: int, chunk: bytes) -> None:
        """The next chunk of a session."""
        self._sessions.append(session)
        self._chunks.append(chunk)
        self._chunk_bytes += len(chunk) + CHUNK_OVERHEAD_BYTES

    def end(self, session: LinkSession) -> None:
        """A session's last word. It may be a few bytes, or a status with pages of details."""
        ended = session.ended()
        size = ended.ByteSize() + _ENDED_OVERHEAD_BYTES
        self._ended.append((ended, size))
        self._ended_bytes += size

    def take(self, load: LoadReport | None, *, leaving: bool, bytes_max: int) -> pb.Down:
        """The message that goes: all chunks, and of the ends what fits; at least one of them.

        Ends that do not fit wait for the next message: nothing comes behind the end of a session.
        """
        ended: list[pb.Ended] = []
        size = self._chunk_bytes
        while self._ended and (not ended or size + self._ended[0][1] <= bytes_max):
            one, its_size = self._ended.popleft()
            ended.append(one)
            size += its_size
            self._ended_bytes -= its_size
        down = pb.Down(
            sessions=self._sessions, chunks=self._chunks, ended=ended, load=load, leaving=leaving
        )
        self._sessions, self._chunks, self._chunk_bytes = [], [], 0
        return down
