"""Which test files stay inside their own process, and what becomes of one that does not."""

import subprocess
import sys

import pytest

from tests import reach

GUARDED = """
import socket, subprocess, sys
import grpc, pytest
from tests import inside

inside.watch()
acts = {
    "a process": lambda: subprocess.run([sys.executable, "-c", ""], check=True),
    "a socket": lambda: socket.create_server(("127.0.0.1", 0)).close(),
    "a server": lambda: grpc.server(None),
    "nothing": lambda: sum([1, 2]),
}
for name, act in acts.items():
    try:
        with inside.nothing_reaches_out():
            act()
    except pytest.fail.Exception as failure:
        print(name, "failed:", failure.msg)
    else:
        print(name, "passed")
"""


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """Writes a file of a tree of tests, and gives its path."""
    monkeypatch.setattr(reach, "ROOT", tmp_path)
    monkeypatch.setattr(reach, "TESTS", tmp_path / "tests")

    def write(name, text):
        path = tmp_path / "tests" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize(
    "line",
    [
        "import subprocess",
        "import grpc.aio",
        "from urllib.request import urlopen",
        "from torch import nn",
        "from spillway import local",
        "from spillway.local.fleet import LocalFleet",
        "def late():\n    import socket",
    ],
)
def test_a_file_that_imports_what_reaches_out_does(tree, line):
    """Wherever in the file."""
    assert not reach.stays_inside(tree("test_a.py", line))


@pytest.mark.parametrize(
    "line", ["import json", "from urllib.parse import quote", "from spillway import fleet"]
)
def test_a_file_that_imports_nothing_of_the_kind_stays_inside(tree, line):
    """Whatever else it imports."""
    assert reach.stays_inside(tree("test_a.py", line))


@pytest.mark.parametrize("line", ["from tests.b import c", "from tests import b", "import tests.b"])
def test_what_a_file_stands_on_counts(tree, line):
    """Over any number of files."""
    tree("b.py", "from tests.d import e")
    tree("d.py", "import ray")
    assert not reach.stays_inside(tree("test_a.py", line))


def test_a_fixture_counts_for_those_who_ask_for_it(tree):
    """The conftest file of a folder above has one that reaches out."""
    tree("conftest.py", "import grpc\n@pytest.fixture\ndef server(): ...")
    assert not reach.stays_inside(tree("deep/test_a.py", "def test_it(server): ..."))
    assert reach.stays_inside(tree("deep/test_b.py", "def test_it(tmp_path): ..."))


def test_a_unit_test_that_reaches_out_is_found_out():
    """By what the interpreter audits, and by what it does not."""
    command = [sys.executable, "-c", GUARDED]
    done = subprocess.run(
        command, cwd=reach.ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    said = dict(line.split(" ", 2)[1:] for line in done.stdout.splitlines() if line[:2] == "a ")
    assert set(said) == {"process", "socket", "server"}
    assert all("reached out of its process" in line for line in said.values())
    assert done.stdout.splitlines()[-1] == "nothing passed"
