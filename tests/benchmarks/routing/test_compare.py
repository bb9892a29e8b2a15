"""The comparison runs every scenario, whole and reproducibly, and writes what it found."""

import json
import os
import subprocess
import sys
from dataclasses import asdict

import pytest

from benchmarks.routing.__main__ import main
from benchmarks.routing.compare import run_one
from benchmarks.routing.scenarios import SCENARIOS
from benchmarks.routing.setup import Options
from router.sim.rivals.registry import OURS


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("policy", ["least-requests", OURS])
def test_every_scenario_serves_its_load(scenario, policy, traces):
    """A few hundred sessions on a large fleet: nothing fails, nearly all keep their objectives."""
    result = run_one(scenario, policy, Options(traces, quick=True))
    assert result.summary.turns >= 40
    assert result.summary.failed == 0
    assert result.summary.attainment > 0.8


def test_two_interpreters_give_the_same_bytes(traces):
    """Whatever order their sets and dictionaries have: the digest is of every record."""
    program = (
        "import sys; from pathlib import Path;"
        "from benchmarks.routing.compare import run_one;"
        "from benchmarks.routing.setup import Options;"
        f"print(run_one('prefix', '{OURS}', Options(Path(sys.argv[1]), quick=True)).summary)"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", program, str(traces)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert "digest" in runs[0]
    assert runs[0] == runs[1]


def test_another_seed_is_another_run(traces):
    """The load is drawn anew."""
    digests = {
        run_one("sessions", "round-robin", Options(traces, seed, quick=True)).summary.digest
        for seed in (1, 2)
    }
    assert len(digests) == 2


def test_the_command_writes_table_picture_and_figures(traces, tmp_path, capsys):
    """For the scenario that is asked, with the policies that are asked."""
    arguments = ["--traces", str(traces), "--out", str(tmp_path), "--scenario", "burst"]
    wanted = ["round-robin", OURS]
    assert main([*arguments, "--policies", *wanted, "--quick", "--processes", "1"]) == 0
    assert "Azure 2023 code" in capsys.readouterr().out
    figures = json.loads((tmp_path / "burst.json").read_text())
    assert list(figures["policies"]) == sorted(wanted)
    expected = asdict(run_one("burst", OURS, Options(traces, quick=True)).summary)
    assert figures["policies"][OURS]["summary"] == expected
    assert (tmp_path / "burst.md").read_text().count("\n| ") == 3
    assert (tmp_path / "burst.png").stat().st_size > 10_000


def test_missing_traces_end_the_command_with_a_sentence(tmp_path, capsys):
    """And with the status of a wrong command line."""
    arguments = ["--traces", str(tmp_path), "--out", str(tmp_path), "--scenario", "burst"]
    assert main([*arguments, "--processes", "1"]) == 2
    assert "AzureLLMInferenceTrace_code" in capsys.readouterr().err


def test_results_are_kept_for_policies_that_did_not_run_again(traces, tmp_path, capsys):
    """Of the same setup; with another seed they are left out."""
    arguments = ["--traces", str(traces), "--out", str(tmp_path), "--scenario", "burst", "--quick"]
    arguments += ["--processes", "1", "--keep"]
    main([*arguments, "--policies", "round-robin"])
    main([*arguments, "--policies", OURS])
    assert "round-robin" in (tmp_path / "burst.md").read_text()
    assert "round-robin" in (tmp_path / "aims.md").read_text()
    main([*arguments, "--policies", OURS, "--seed", "2"])
    assert "round-robin" not in (tmp_path / "burst.md").read_text()
    capsys.readouterr()
