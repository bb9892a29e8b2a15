"""The file in which a router leaves what it has learned of demand."""

import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.live.scaling_file import BYTES_MAX, ScalingFile
from router.policy.fleet import Fleet, Site, SiteKind, SloClass
from router.policy.scale import Scale
from router.policy.scaling.scaler import Scaler

FLEET = Fleet(
    (Site("home", SiteKind.HOME, scale=Scale(1, 3)),), (SloClass("chat", 10**9, 10**8),), "chat"
)


@pytest.fixture
def learned():
    return Scaler(FLEET).learned()


def test_what_is_written_is_read(tmp_path, learned):
    """In a folder that was not there before, with nothing left beside it."""
    path = tmp_path / "kept" / "scaling.json"
    assert ScalingFile(path).read() is None
    ScalingFile(path).write(learned)
    ScalingFile(path).write(learned)
    assert ScalingFile(path).read() == learned
    assert [one.name for one in path.parent.iterdir()] == ["scaling.json"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is no JSON"),
        (b"[" * 100_000, "it is no JSON"),
        (b"[]", "its format is not 1"),
        (b'{"format": 2}', "its format is not 1"),
        (b'{"format": 1, "learned": {"limit": 1}}', "forecasts: field required"),
        (b" " * (BYTES_MAX + 1), "it has more than 4 MiB"),
    ],
)
def test_what_cannot_be_read_is_put_aside(tmp_path, caplog, content, why):
    """A sentence says so, nothing is lost, and the next router writes in its place."""
    path = tmp_path / "scaling.json"
    path.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert ScalingFile(path).read() is None
    assert why in caplog.text
    assert "it is kept as scaling.json.unread" in caplog.text
    assert not path.exists()
    assert (tmp_path / "scaling.json.unread").read_bytes() == content


def test_a_write_that_fails_leaves_what_was_there(tmp_path, learned, caplog, monkeypatch):
    """And is told once, not every five minutes."""
    path = tmp_path / "scaling.json"
    file = ScalingFile(path)
    file.write(learned)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with caplog.at_level(logging.WARNING):
        file.write(learned)
        file.write(learned)
    assert caplog.text.count("No space left on device") == 1
    assert file.read() == learned
    assert [one.name for one in tmp_path.iterdir()] == ["scaling.json"]


@given(st.data())
def test_whatever_is_in_a_file_it_is_read_or_put_aside(tmp_path_factory, data):
    """Any value in the place of any other: never an error, never half of it."""
    path = tmp_path_factory.mktemp("file") / "scaling.json"
    ScalingFile(path).write(Scaler(FLEET).learned())
    content = json.loads(path.read_bytes())
    at, keys = content["learned"], []
    while isinstance(at, dict) and at:
        keys.append(data.draw(st.sampled_from(sorted(at))))
        at = at[keys[-1]]
    holder = content["learned"]
    for key in keys[:-1]:
        holder = holder[key]
    holder[keys[-1]] = data.draw(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text()
        | st.lists(st.integers())
    )
    path.write_text(json.dumps(content))
    read = ScalingFile(path).read()
    assert path.exists() == (read is not None)
    if read is not None:
        Scaler(FLEET).recall(read)
