"""The archive with a tokenizer's files."""

import hashlib
import io
import zipfile

from hypothesis import given
from hypothesis import strategies as st

from wire.engine.bundle import CHUNK_BYTES, archive_of, chunks_of

FILES = {"tokenizer.json": b"{}", "tokenizer_config.json": b"{ }"}


def test_the_same_files_are_the_same_archive():
    """Whatever their order, and whenever it is made: so its digest tells tokenizers apart."""
    assert archive_of(FILES) == archive_of(dict(reversed(FILES.items())))


def test_the_last_piece_has_the_digest():
    """And none before it."""
    archive = bytes(3 * CHUNK_BYTES)
    pieces = list(chunks_of(archive))
    assert [bool(piece.sha256) for piece in pieces] == [False, False, True]
    assert pieces[-1].sha256 == hashlib.sha256(archive).hexdigest()


@given(st.dictionaries(st.sampled_from(["a.json", "b.txt", "c"]), st.binary(max_size=300)))
def test_the_files_are_those_that_went_in(files):
    """The pieces put together are an archive with all of them."""
    whole = b"".join(piece.data for piece in chunks_of(archive_of(files)))
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == files
