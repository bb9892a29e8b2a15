"""`spillway replay`: a log is decided again."""

import json
from dataclasses import replace

from router.observe.lines import to_line
from spillway import cli
from tests.router.observe.events import history


def test_a_log_that_decides_identically_says_so(capsys, tmp_path):
    """With how much was compared."""
    log = tmp_path / "log.jsonl"
    log.write_bytes(b"".join(map(to_line, history())))
    assert cli.run(["replay", "--json", str(log)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["events"] == len(history())
    assert told["decisions"] > 0
    assert told["differing"] == 0


def test_a_log_of_another_seed_fails_and_shows_where(capsys, tmp_path):
    """The first that differ, and how many."""
    events = history(seed=7)
    events[0] = replace(events[0], happening=replace(events[0].happening, seed=8))
    log = tmp_path / "log.jsonl"
    log.write_bytes(b"".join(map(to_line, events)))
    assert cli.run(["replay", str(log)]) == 1
    captured = capsys.readouterr()
    assert "event " in captured.out
    assert "decisions differ" in captured.err


def test_a_file_that_is_no_log_fails(capsys, tmp_path):
    """In one line."""
    log = tmp_path / "log.jsonl"
    log.write_text("broken\n\n")
    assert cli.run(["replay", str(log)]) == 1
    assert "cannot be replayed" in capsys.readouterr().err
