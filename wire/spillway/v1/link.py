"""Metadata as a link carries it, and the bounds that both of its ends keep."""

from collections.abc import Iterable
from typing import Final

from wire.spillway.v1.link_pb2 import Header
from wire.status import Metadata

CREDIT_BYTES: Final = 64 * 1024
"""What a session may send ahead of a client that does not read: as much as a call of its own."""

REQUEST_BYTES_MAX: Final = 256 * 1024
"""A larger request is a call of its own: on a link the others would wait behind it."""

METADATA_BYTES_MAX: Final = 16 * 1024
"""Of one session: what a router takes with a call, too."""

MESSAGE_BYTES_MIN: Final = 1024 * 1024
"""The least that has to be taken in one message: it may be a load report with its prefixes."""


def to_headers(metadata: Iterable[tuple[str, str | bytes]]) -> list[Header]:
    """Pairs as they go over a link."""
    return [
        Header(key=key, value=value if isinstance(value, bytes) else value.encode())
        for key, value in metadata
    ]


def from_headers(headers: Iterable[Header]) -> Metadata:
    """Pairs as they came over a link; what is no text where it should be is replaced."""
    return tuple(
        (header.key, header.value)
        if header.key.endswith("-bin")
        else (header.key, header.value.decode(errors="replace"))
        for header in headers
    )
