"""Ray jobs enter a local site by its dashboard: to drive the fleet, and to deploy a site."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from spillway.client import SyncClient
from spillway.local.fleet import LocalFleet
from spillway.local.head import LocalHead
from spillway.local.ray_head import HOST
from spillway.local.two_sites import HOME

pytestmark = [pytest.mark.live, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[3]
JOB_DEADLINE_S = 300.0


def submit(dashboard_url: str, *command: str) -> str:
    """The output of a job that runs `command` in a copy of this repository."""
    ray = Path(sys.executable).with_name("ray")
    submitting = [ray, "job", "submit", "--address", dashboard_url, "--working-dir", ".", "--"]
    done = subprocess.run(
        [*submitting, *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=JOB_DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def head() -> Iterator[LocalHead]:
    """A Ray cluster without Serve."""
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as folder:
        head = LocalHead("bare", Path(folder) / "bare", cpus=4)
        try:
            head.wait_until_up()
            yield head
        finally:
            head.stop()


def test_the_benchmark_runs_as_a_job(local_fleet: LocalFleet):
    """Each answer is checked by the benchmark itself; its table is the job's output."""
    dashboard_url = local_fleet.sites[HOME].ports.dashboard_url
    load = ("--address", local_fleet.address, "--rate", "2", "--duration", "3")
    output = submit(dashboard_url, "python", "-m", "benchmarks.serving", *load)
    assert "errors: none; wrong answers: 0" in output


def test_a_site_is_deployed_as_a_job(head: LocalHead):
    """The job is given the dashboard's address, and what it deploys outlives it."""
    url = head.ports.dashboard_url
    settings = ("--set", "engine=fake", "--set", "model=counting")
    submit(url, "python", "-m", "spillway", "site", "up", url, *settings)
    (target,) = head.serve.grpc_targets("spillway")
    with SyncClient(f"{HOST}:{target.rpartition(':')[2]}") as client:
        assert client.generate("7", max_new_tokens=4).text == " 8 9"
