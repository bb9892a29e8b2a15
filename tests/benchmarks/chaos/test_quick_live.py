"""The two-minute part of the failure matrix, as its users run it."""

import json
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.live, pytest.mark.slow]


def test_every_stream_is_whole_and_right_whatever_dies(tmp_path):
    """No error, no token lost, repeated or wrong, and nothing is left behind.

    How long the pauses are depends on what else the machine does; the command judges them.
    """
    out = tmp_path / "chaos.json"
    command = [sys.executable, "-m", "benchmarks.chaos", "--quick", "--out", str(out)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=350)
    assert out.exists(), run.stderr
    faults = json.loads(out.read_text())["faults"]
    assert len(faults) >= 8
    assert sum(fault["resumed"] for fault in faults) > 0
    for fault in faults:
        assert fault["streams"] > 0, run.stdout
        assert fault["lost"] == fault["repeated"] == fault["wrong"] == 0, run.stdout
        wrong = [fault["errors"], fault["left"], fault["broken"]]
        assert not any(wrong), run.stdout
