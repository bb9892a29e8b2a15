"""What is looked at again and again: in place on a terminal, one look after the other in a pipe."""

import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from spillway import cli
from tests.waiting import DEADLINE_S

ROOT = Path(__file__).parents[3]
CURSOR_UP = "\x1b[1A"
COLOURED = re.compile(r"\x1b\[3[123]m")


def on_a_terminal(address, *arguments):
    """What a command writes to a terminal, and its exit code."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "spillway", *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=os.environ
        | {"PYTHONPATH": str(ROOT), "SPILLWAY_ADDRESS": address, "TERM": "xterm", "COLUMNS": "200"},
    )
    os.close(theirs)
    written, give_up_s = b"", time.monotonic() + DEADLINE_S
    try:
        while time.monotonic() < give_up_s:
            if select.select([ours], [], [], 0.1)[0]:
                try:
                    written += os.read(ours, 1 << 16)
                except OSError:  # as Linux says that the other end is closed
                    break
    finally:
        process.kill()
        os.close(ours)
    return written.decode(), process.wait()


@pytest.mark.parametrize(
    "arguments",
    [
        ("top",),
        ("status", "--watch"),
        ("sessions", "--watch"),
        ("explain", "hello", "--watch"),
        ("quarantine", "list", "--watch"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_looks_are_drawn_over_each_other_on_a_terminal(router, arguments):
    """As a table with bold heads; there is no second one below the first."""
    looks = ("--interval", "0.1", "--count", "3")
    written, code = on_a_terminal(router.address, *arguments, *looks)
    assert "Traceback" not in written
    assert written.count("\x1b[1m") > 3
    assert CURSOR_UP in written or arguments[0] == "quarantine"  # which is one line high
    assert code in {0, -9}


def test_how_something_is_is_coloured_on_a_terminal_and_said_in_words(router):
    """Whoever sees no colours reads the same."""
    written, _ = on_a_terminal(router.address, "status")
    assert COLOURED.search(written)
    assert "draining" in written


@pytest.mark.parametrize(
    "arguments",
    [("top",), ("status",), ("sessions",), ("explain", "hello"), ("quarantine", "list")],
    ids=lambda arguments: arguments[0],
)
def test_each_look_is_a_document_or_lines_in_a_pipe(router, capsys, monkeypatch, arguments):
    """With nothing that a terminal would obey."""
    monkeypatch.setenv("SPILLWAY_ADDRESS", router.address)
    looks = ("--interval", "0.1", "--count", "2")
    assert cli.run([*arguments, *looks, "--json"]) == 0
    documents = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(documents) == 2
    assert cli.run([*arguments, *looks]) == 0
    lines = capsys.readouterr().out
    assert "\t" in lines
    assert "\x1b" not in lines
