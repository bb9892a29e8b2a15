"""`spillway doctor`: a line a finding, and the worst as its exit code."""

import json

from spillway import cli
from tests.spillway.probing.reporting_replica import ReportingReplica, serving

LEVELS = ["ok", "warning", "problem"]


def test_it_works_with_nothing_running_and_exits_with_the_worst(capsys):
    """Its lines are fields with tabs between, for a script."""
    code = cli.run(["doctor"])
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert all(len(line) == 4 for line in lines)
    assert code == max(LEVELS.index(line[0]) for line in lines)
    assert {"python", "packages", "open files", "disk", "exposed", "ports"} <= {
        name for _, name, *_ in lines
    }
    assert all(line[3] for line in lines if line[0] != "ok")


def test_json_has_the_same(capsys, tmp_path):
    """As one document, with the sites of a fleet file."""
    with serving(ReportingReplica()) as replica:
        path = tmp_path / "fleet.yaml"
        path.write_text(
            f"sites: {{a: {{kind: home, endpoints: ['{replica.address}']}}}}\n"
            "slo_classes: {b: {ttft: 1s, itl: 1s}}\n"
        )
        code = cli.run(["doctor", "--json", "--fleet", str(path)])
    found = json.loads(capsys.readouterr().out)
    assert LEVELS.index(found["level"]) == code
    assert "site a" in {one["check"] for one in found["findings"]}


def test_a_fleet_file_with_problems_is_told_and_the_host_is_looked_at(capsys, tmp_path):
    """A line for each of its problems."""
    path = tmp_path / "fleet.yaml"
    path.write_text("sites: {}\n")
    assert cli.run(["doctor", "--fleet", str(path)]) == 2
    out = capsys.readouterr().out
    assert f"problem\tfleet file\t{path}:" in out
    assert "\npython\t" in out or "ok\tpython\t" in out
