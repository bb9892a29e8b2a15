"""The faces are measured with an engine and a router of their own."""

import json

import pytest

from benchmarks.faces.__main__ import main


@pytest.mark.slow
def test_both_faces_are_measured(tmp_path, capsys):
    """A moment of each: what it costs on this machine says nothing, that it is counted does."""
    path = tmp_path / "faces.json"
    arguments = ["--streams", "2", "--seconds", "0.1", "--itl-ms", "1", "--repeats", "1"]
    assert main([*arguments, "--out", str(path)]) in {0, 1}
    faces = json.loads(path.read_text())["faces"]
    assert all(face["cpu_us_per_token"] > 0 for face in faces.values())
    assert "OpenAI's face costs" in capsys.readouterr().out
