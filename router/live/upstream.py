"""The seam between an attempt and the way to its endpoint.

A stream goes to an endpoint as a call of its own, or as one session of many on a link. Whatever
performs an attempt knows neither: it opens an `UpstreamCall`, reads messages as bytes until the end
and learns how it ended. The shape is that of a grpc.aio call, which is one of them as it stands.
"""

from collections.abc import Iterable
from typing import Protocol

from grpc.aio import EOF

END = EOF
"""What `read` gives after the last message of an answer that ended well."""


class UpstreamCall(Protocol):
    """One answer on its way from an endpoint."""

    async def read(self) -> bytes | object:
        """The next message, or END.

        Raises grpc.aio.AioRpcError where the answer ended otherwise, and asyncio.CancelledError
        where `cancel` was called.
        """
        ...

    async def trailing_metadata(self) -> Iterable[tuple[str, str | bytes]]:
        """What the endpoint said beside the status, once the answer has ended."""
        ...

    def cancel(self) -> object:
        """The answer is wanted no longer. After the end it does nothing."""
        ...
