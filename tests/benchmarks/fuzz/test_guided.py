"""Fuzzing by what inputs reach."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.fuzz import guided
from benchmarks.fuzz.target import Target

ROOT = Path(__file__).parents[3]


def run(folder, *arguments):
    places = ("--corpus", str(folder / "corpus"), "--finds", str(folder / "finds"))
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.fuzz.guided", *arguments, *places],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=240,
        check=False,
    )


def test_without_the_library_it_says_what_to_install(monkeypatch, capsys):
    """It is no part of an installation that only serves."""
    monkeypatch.setitem(sys.modules, "atheris", None)
    assert guided.main(["cookie"]) == 2
    assert "pip install '.[fuzz]'" in capsys.readouterr().err


def test_a_run_begins_with_what_is_kept(tmp_path):
    """As libFuzzer's own files, beside the words of the target in a form that it reads."""
    words = guided._begun(tmp_path / "t", Target("t", len, [b"a", b"b"], [b'"\\', b"\xff"]))
    assert {one.read_bytes() for one in (tmp_path / "t").iterdir()} == {b"a", b"b"}
    assert words.read_text() == '"\\x22\\x5c"\n"\\xff"\n'


@pytest.mark.skipif(
    not importlib.util.find_spec("atheris"), reason="atheris has no wheel for this machine"
)
def test_a_run_keeps_what_reaches_further(tmp_path):
    """And finds nothing in a second."""
    done = run(tmp_path, "cookie", "--seconds", "1")
    assert done.returncode == 0, done.stderr
    assert "stat::number_of_executed_units" in done.stderr
    assert list((tmp_path / "corpus" / "cookie").iterdir())
