"""One session of a link: the context of its handler, and how much it may send."""

import asyncio
import time
from collections.abc import Sequence

import grpc

from wire.spillway.v1 import link_pb2 as pb
from wire.spillway.v1.link import from_headers, to_headers
from wire.status import Metadata


class LinkSession:
    """What wire.status.CallContext asks for, of a call that is a session."""

    __slots__ = (
        "_code",
        "_credit",
        "_credited",
        "_details",
        "_metadata",
        "_trailers",
        "_until_s",
        "number",
        "request",
        "timeout_s",
    )

    def __init__(self, opened: pb.Open, credit_bytes: int) -> None:
        self.number = opened.session
        self.request = opened.request
        self.timeout_s = opened.timeout_us / 1e6 if opened.timeout_us else None
        self._until_s = time.monotonic() + (self.timeout_s or 0.0)
        self._metadata = from_headers(opened.metadata)
        self._credit = credit_bytes
        self._credited = asyncio.Event()
        self._credited.set()
        self._code = grpc.StatusCode.OK
        self._details = ""
        self._trailers: Metadata = ()

    def set_code(self, code: grpc.StatusCode, /) -> None:
        """See CallContext."""
        self._code = code

    def set_details(self, details: str, /) -> None:
        """See CallContext."""
        self._details = details

    def set_trailing_metadata(self, metadata: Sequence[tuple[str, str | bytes]], /) -> None:
        """See CallContext."""
        self._trailers = tuple(metadata)

    def invocation_metadata(self) -> Metadata:
        """See CallContext."""
        return self._metadata

    def time_remaining(self) -> float | None:
        """What is left until the deadline, in seconds; None where there is none."""
        return None if self.timeout_s is None else max(0.0, self._until_s - time.monotonic())

    async def until_credited(self) -> None:
        """Waits while the router has not taken enough of what was sent."""
        await self._credited.wait()

    def spend(self, chunk_bytes: int) -> None:
        """A chunk goes."""
        self._credit -= chunk_bytes
        if self._credit <= 0:
            self._credited.clear()

    def credit(self, more_bytes: int) -> None:
        """The router has taken so much."""
        self._credit += more_bytes
        if self._credit > 0:
            self._credited.set()

    def ended(self) -> pb.Ended:
        """How it ended, for the router."""
        number, _ = self._code.value
        return pb.Ended(
            session=self.number,
            code=number,
            message=self._details,
            trailers=to_headers(self._trailers),
        )
