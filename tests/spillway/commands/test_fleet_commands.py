"""`spillway fleet check`: a summary, or all the problems."""

import json
from pathlib import Path

from spillway import cli
from spillway.commands.failure import Outcome

EXAMPLE = Path(__file__).parents[3] / "deploy" / "fleet.example.yaml"


def test_a_good_file_is_summed_up(capsys):
    """A line for each site."""
    assert cli.run(["fleet", "check", str(EXAMPLE)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[0] for line in lines] == ["site", "cellar", "ridge", "harbour"]
    assert lines[2].split("\t")[4:] == ["llama-3.1-8b", "4", "1", "2.49 USD/h", "-"]


def test_a_bad_file_is_refused_with_every_problem(capsys, tmp_path):
    """A line each, which an editor can jump to."""
    path = tmp_path / "fleet.yaml"
    path.write_text(
        "sites: {a: {kind: home, endpoint: []}}\nslo_classes: {b: {ttft: 1, itl: 1s}}\n"
    )
    assert cli.run(["fleet", "check", str(path)]) == Outcome.FLEET_FILE
    captured = capsys.readouterr()
    assert captured.out == ""
    assert [line.removeprefix(f"{path}:") for line in captured.err.splitlines()] == [
        "1:25: sites.a.endpoint: unknown key; did you mean endpoints?",
        "2:25: slo_classes.b.ttft: expected a duration such as 250ms, 2s or 30min, found 1",
    ]


def test_problems_are_given_as_json(capsys, tmp_path):
    """For an editor or a pipeline."""
    assert cli.run(["fleet", "check", "--json", str(tmp_path / "absent.yaml")]) == 3
    found = json.loads(capsys.readouterr().out)
    assert found["valid"] is False
    assert found["problems"][0]["message"] == "cannot be read: No such file or directory"


def test_keys_that_are_not_here_are_noted(capsys, tmp_path):
    """The router may run elsewhere, so the file is as good as it can be seen to be."""
    path, keys = tmp_path / "fleet.yaml", tmp_path / "keys"
    path.write_text(
        "sites: {a: {kind: home, endpoints: ['127.0.0.1:1']}}\n"
        "slo_classes: {b: {ttft: 1s, itl: 1s}}\n"
        f"router: {{listen: '127.0.0.1:0', lease_key_file: {keys}}}\n"
    )
    assert cli.run(["fleet", "check", str(path)]) == 0
    assert f"lease_key_file: {keys}: cannot be read" in capsys.readouterr().err
    keys.write_text("short\n")
    assert cli.run(["fleet", "check", "--json", str(path)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["valid"] is True
    assert "at least 32 characters" in found["notes"][0]
    keys.write_text("k" * 32)
    assert cli.run(["fleet", "check", str(path)]) == 0
    assert "lease_key_file" not in capsys.readouterr().err


def test_other_commands_refuse_a_bad_file_alike(capsys, tmp_path):
    """Whatever a fleet file is for, it is checked first."""
    assert cli.run(["route", str(tmp_path / "absent.yaml")]) == Outcome.FLEET_FILE
    assert "absent.yaml:1:1: cannot be read" in capsys.readouterr().err
