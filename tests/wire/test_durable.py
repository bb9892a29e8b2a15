"""Files that are whole whatever happens."""

import pytest

from wire.durable import replace_whole


def test_a_file_is_replaced_with_its_mode_and_nothing_is_left_beside_it(tmp_path):
    """Whether or not there was one before."""
    path = tmp_path / "file"
    for content, mode in ((b"first", 0o600), (b"second", 0o644)):
        replace_whole(path, content, mode)
        assert (path.read_bytes(), path.stat().st_mode & 0o777) == (content, mode)
    assert list(tmp_path.iterdir()) == [path]


def test_what_was_there_stays_where_the_disk_takes_no_more(tmp_path, monkeypatch):
    """And what was begun is gone."""
    path = tmp_path / "file"
    replace_whole(path, b"before")

    def full(_number):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("wire.durable.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        replace_whole(path, b"after")
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]
