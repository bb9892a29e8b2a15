"""`spillway audit`: as somebody types it."""

import json
from pathlib import Path

import pytest

from router.audit.journal import AuditError, Journal, files_of
from router.audit.pruning import Keeping
from spillway import cli

SECRET = "s" * 40


def written(path, secret=None):
    """A log with an action that was done, one that was refused, and one that was cut off."""
    journal = Journal(path, 1 << 20, secret)
    common = {"instance": "router-1", "at": "2026-11-29T15:00:00+00:00", "unix_ns": 10**18}
    who = {"name": "key:1b22e0a9c3d4", "role": "operator"}
    journal.append({**common, "action": "started", "stage": "done"})
    for target in ("home", "moon", "ridge"):
        asked = {"action": "drain", "target": target, "who": who}
        before = {"draining": False} if target != "moon" else {}
        head = journal.append({**common, **asked, "stage": "asked", "before": before})
        if target == "home":
            after = {"draining": True}
            said = {"stage": "done", "of": head.number, "after": after}
            journal.append({**common, **asked, **said})
        elif target == "moon":
            said = {"stage": "refused", "of": head.number, "reason": "there is no site 'moon'"}
            journal.append({**common, **asked, **said})
    journal.close()
    return journal.head


def test_a_whole_log_is_whole(capsys, tmp_path):
    """With its head, which is to be kept elsewhere."""
    path = tmp_path / "audit.jsonl"
    head = written(path)
    assert cli.run(["audit", "verify", str(path)]) == 0
    assert f"whole, records 1 to 6; its head is {head.digest}" in capsys.readouterr().out
    assert cli.run(["audit", "verify", str(path), "--head", head.digest, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["head"] == head.digest


def test_a_log_that_was_changed_is_told_of(capsys, tmp_path):
    """By the line, with exit code 1; and so is one that lacks a head, or is not there."""
    path = tmp_path / "audit.jsonl"
    written(path)
    assert cli.run(["audit", "verify", str(path), "--head", "ab" * 32]) == 1
    assert "its end is cut off" in capsys.readouterr().err
    path.write_bytes(path.read_bytes().replace(b'"home"', b'"rome"', 1))
    assert cli.run(["audit", "verify", str(path)]) == 1
    assert f"{path}:2" in capsys.readouterr().err
    assert cli.run(["audit", "list", str(path)]) == 1
    assert cli.run(["audit", "verify", str(tmp_path / "none")]) == 1
    assert "there is no audit log" in capsys.readouterr().err
    assert cli.run(["audit", "list", str(path.with_name("none"))]) == 1
    assert "there is no audit log" in capsys.readouterr().err


def test_a_beginning_that_was_removed_is_told_of(capsys, tmp_path):
    """By the router, as the log says; or by somebody, who then says where the log begins."""
    path = tmp_path / "audit.jsonl"
    journal = Journal(path, 1_000, None, Keeping(files_max=2, kept_s=0.0))
    for count in range(30):
        journal.append({"action": "drain", "count": count})
    journal.close()
    assert cli.run(["audit", "verify", str(path)]) == 0
    assert "were removed, as the log says" in capsys.readouterr().err
    files_of(path)[0].unlink()
    assert cli.run(["audit", "verify", str(path)]) == 1
    said = capsys.readouterr().err
    first = said.partition("--begins-at ")[2].split()[0]
    assert cli.run(["audit", "verify", str(path), "--begins-at", first, "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert (told["first"], told["pruned"]) == (int(first), 0)


def test_a_folder_that_nobody_may_look_into_is_told_as_such(capsys, tmp_path, monkeypatch):
    """A log that cannot be seen is not one that is not there, nor one to be begun anew."""

    def refuses(path):
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "audit.jsonl"
    written(path)
    monkeypatch.setattr(Path, "iterdir", refuses)
    for word in ("verify", "list"):
        assert cli.run(["audit", word, str(path)]) == 1
        assert "Permission denied" in capsys.readouterr().err
    with pytest.raises(AuditError, match="Permission denied"):
        Journal(path, 1 << 20).append({"action": "started"})


def test_a_sealed_log_wants_its_secret(capsys, tmp_path):
    path, secret = tmp_path / "audit.jsonl", tmp_path / "secret"
    secret.write_text(SECRET)
    written(path, SECRET.encode())
    assert cli.run(["audit", "verify", str(path)]) == 1
    assert "is needed to check it" in capsys.readouterr().err
    assert cli.run(["audit", "verify", str(path), "--secret", str(secret)]) == 0
    assert cli.run(["audit", "verify", str(path), "--secret", str(tmp_path / "none")]) == 2


def test_the_list_has_a_line_for_each_action(capsys, tmp_path):
    """What was asked and what became of it, in one."""
    path = tmp_path / "audit.jsonl"
    written(path)
    assert cli.run(["audit", "list", str(path), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [one["stage"] for one in shown] == ["done", "done", "refused", "unfinished"]
    assert (shown[1]["before"], shown[1]["after"]) == ({"draining": False}, {"draining": True})
    assert cli.run(["audit", "list", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split("\t")[1:] == [
        *("key:1b22e0a9c3d4", "drain", "home", "done", "draining false", "draining true"),
    ]
    assert "there is no site 'moon'" in lines[3]


def test_the_list_begins_where_it_is_asked_to(capsys, tmp_path):
    path = tmp_path / "audit.jsonl"
    written(path)
    assert cli.run(["audit", "list", str(path), "--since", "2001-09-10", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert cli.run(["audit", "list", str(path), "--since", "2001-09-09", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 4
    assert cli.run(["audit", "list", str(path), "--since", "yesterday"]) == 2
