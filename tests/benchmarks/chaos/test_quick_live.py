"""The two-minute part of the failure matrix, as its users run it."""

import json
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.live, pytest.mark.slow]


def test_no_token_is_lost_repeated_or_wrong_whatever_dies(tmp_path):
    """Every stream is right as far as it goes, and nothing is left behind."""
    out = tmp_path / "chaos.json"
    command = [sys.executable, "-m", "benchmarks.chaos", "--quick", "--out", str(out)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=350)
    assert out.exists(), run.stderr
    faults = json.loads(out.read_text())["faults"]
    assert len(faults) >= 6
    for fault in faults:
        assert fault["streams"] > 0, run.stdout
        assert fault["lost"] == fault["repeated"] == fault["wrong"] == 0, run.stdout
        assert not fault["left"], run.stdout
