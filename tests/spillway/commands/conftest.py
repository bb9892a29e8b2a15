"""What the tests of commands share."""

import io
import sys

import pytest

from spillway import cli


@pytest.fixture
def spillway(router, capsys, monkeypatch):
    """Runs a command against the fake router: its exit code, output and error lines."""
    monkeypatch.setenv("SPILLWAY_ADDRESS", router.address)

    def run(*arguments, stdin=""):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        code = cli.run(arguments)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run
