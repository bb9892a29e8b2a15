"""The tutorial, as a newcomer types it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from spillway import cli
from tests.docs.blocks import blocks

pytestmark = [pytest.mark.live, pytest.mark.slow]

RUN = {"sh": ["bash", "-euo", "pipefail", "-c"], "python": [sys.executable, "-c"]}
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def undrained(local_fleet):
    """Other tests share the fleet, however far this one comes."""
    yield
    assert cli.run(["undrain", "home", "--address", local_fleet.address]) == 0


def test_every_command_of_the_tutorial_does_what_it_is_there_for(local_fleet, tmp_path):
    """One after the other, against a fleet that `up --local` would have started."""
    addresses = {
        "127.0.0.1:7070": local_fleet.address,
        "127.0.0.1:7080": local_fleet.openai_address,
    }
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "SPILLWAY_ADDRESS": local_fleet.address,
        "OPENAI_BASE_URL": f"http://{local_fleet.openai_address}/v1",
    }
    said = {}
    for block in blocks("tutorial.md"):
        if block.language not in RUN:
            continue
        text = block.text
        for written, actual in addresses.items():
            text = text.replace(written, actual)
        ran = subprocess.run(
            [*RUN[block.language], text],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert ran.returncode == 0, f"docs/tutorial.md:{block.line}: {ran.stderr or ran.stdout}"
        said[block.text.split("\n", 1)[0]] = ran.stdout
    assert all(said.values())
    assert (
        "418 419" in said['spillway generate "Count from 417" --max-new-tokens 20 --temperature 0']
    )
    assert (tmp_path / "answers.jsonl").read_text().count("\n") == 2
    assert "rented" in said["spillway drain home"]
