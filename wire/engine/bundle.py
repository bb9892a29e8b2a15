"""A tokenizer's files as the archive that gateways fetch: one ZIP, the same for the same files."""

import hashlib
import io
import zipfile
from collections.abc import Iterator, Mapping
from typing import Final

from wire.engine.common_pb2 import GetTokenizerChunk

CHUNK_BYTES: Final = 64 * 1024
"""Of a message: what gateways bound them by."""

_MADE: Final = (1980, 1, 1, 0, 0, 0)  # the oldest date there is in a ZIP


def archive_of(files: Mapping[str, bytes]) -> bytes:
    """The archive with these files by their names."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _MADE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, files[name])
    return made.getvalue()


def chunks_of(archive: bytes) -> Iterator[GetTokenizerChunk]:
    """The archive in pieces, the last one with its digest."""
    digest = hashlib.sha256(archive).hexdigest()
    for begin in range(0, len(archive), CHUNK_BYTES):
        last = begin + CHUNK_BYTES >= len(archive)
        piece = archive[begin : begin + CHUNK_BYTES]
        yield GetTokenizerChunk(data=piece, sha256=digest if last else "")
