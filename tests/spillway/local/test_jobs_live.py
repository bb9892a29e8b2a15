"""Ray jobs enter a local site by its dashboard: to drive the fleet, and to deploy a site."""

import json
import subprocess
import sys
import tempfile
import urllib.request
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


def submitted(dashboard_url: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """What came of `ray job submit` with these arguments, run in this repository."""
    ray = Path(sys.executable).with_name("ray")
    return subprocess.run(
        [ray, "job", "submit", "--address", dashboard_url, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=JOB_DEADLINE_S,
        check=False,
    )


def submit(dashboard_url: str, *command: str) -> str:
    """The output of a job that runs `command` in a copy of this repository."""
    done = submitted(dashboard_url, "--working-dir", ".", "--", *command)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def exit_code_of(dashboard_url: str, job: str) -> int:
    """What the cluster says of how a job's command ended."""
    with urllib.request.urlopen(f"{dashboard_url}/api/jobs/{job}") as answer:
        code: int = json.load(answer)["driver_exit_code"]
    return code


@pytest.fixture(scope="module")
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


@pytest.mark.parametrize(
    ("command", "code", "sentence"),
    [
        ("spillway status --address 127.0.0.1:9", 6, "spillway: "),
        ("spillway site up harbour --fleet fleet.yaml", 2, "spillway: "),
        ("spillway fleet check runtime-env.yaml", 3, "runtime-env.yaml:3:1: env_vars: unknown key"),
        ("spillway batch no-requests.jsonl answers.jsonl", 4, "no-requests.jsonl"),
    ],
)
def test_a_job_fails_as_its_command_does_and_says_why(
    head: LocalHead, command: str, code: int, sentence: str
):
    """Its exit code is the command's, and the log ends with a sentence."""
    url = head.ports.dashboard_url
    environment = ("--runtime-env", "deploy/jobs/runtime-env.yaml", "--working-dir", "deploy/jobs")
    done = submitted(url, "--submission-id", f"job-{code}", *environment, "--", *command.split())
    assert done.returncode == 1
    assert exit_code_of(url, f"job-{code}") == code
    assert sentence in done.stdout
    assert "Traceback" not in done.stdout
