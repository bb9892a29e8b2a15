"""What is to go down a link next: chunks, ends and a load report on their way into one message."""

from serving.link_session import LinkSession
from wire.spillway.v1 import link_pb2 as pb
from wire.spillway.v1.load_pb2 import LoadReport

CHUNK_OVERHEAD_BYTES = 16
"""Of a chunk in a message: two tags, a length and a session number."""

ENDED_BYTES = 256
"""What an end is counted as: a status with details has about so many."""


class Frame:
    """A Down message that grows until it is taken."""

    __slots__ = ("bytes", "chunks", "ended", "sessions")

    def __init__(self) -> None:
        self.sessions: list[int] = []
        self.chunks: list[bytes] = []
        self.ended: list[pb.Ended] = []
        self.bytes = 0

    def add(self, session: int, chunk: bytes) -> None:
        """The next chunk of a session."""
        self.sessions.append(session)
        self.chunks.append(chunk)
        self.bytes += len(chunk) + CHUNK_OVERHEAD_BYTES

    def end(self, session: LinkSession) -> None:
        """A session's last word."""
        self.ended.append(session.ended())
        self.bytes += ENDED_BYTES

    def message(self, load: LoadReport | None, *, leaving: bool) -> pb.Down:
        """All of it."""
        return pb.Down(
            sessions=self.sessions,
            chunks=self.chunks,
            ended=self.ended,
            load=load,
            leaving=leaving,
        )
