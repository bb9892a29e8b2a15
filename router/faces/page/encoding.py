"""Server-sent events, encoded once for all who read them.

A compressed response is usually one stream whose every part leans on what went before, so that each
viewer needs a compressor. Here a response is a gzip header and then parts that lean on nothing: a
part is compressed once, and goes to any viewer at any time, also to one that missed others.
"""

import json
import zlib
from functools import cached_property
from typing import Any, Final

GZIP_HEAD: Final = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
"""Deflate, no name, no time, from an unknown system (RFC 1952)."""


class Encoded:
    """An event, as text and compressed, each made at most once."""

    def __init__(self, name: str, value: Any) -> None:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        self.plain: Final = f"event: {name}\ndata: {text}\n\n".encode()

    @cached_property
    def deflated(self) -> bytes:
        """A part of a gzip member that ends on a byte."""
        compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        return compressor.compress(self.plain) + compressor.flush(zlib.Z_SYNC_FLUSH)
