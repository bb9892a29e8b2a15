"""The how-to pages that need Ray clusters or a vLLM engine, as their reader types them."""

import os
from contextlib import ExitStack
from pathlib import Path

import pytest

from spillway.local.head import LocalHead
from tests.docs.how_to import ROOT, Reader

pytestmark = [pytest.mark.live, pytest.mark.slow]


@pytest.fixture(scope="module")
def heads(tmp_path_factory):
    """Two Ray clusters without Serve, as `ray start --head` makes them; their dashboards' ports."""
    with ExitStack() as stack:
        found = []
        for name in ("h1", "h2"):
            # The path of a socket is short, and pytest's folders are long.
            folder = Path("/tmp") / f"sp{os.getpid()}{name}"
            head = LocalHead(name, folder, cpus=4)
            stack.callback(head.stop)
            found.append(head)
        for head in found:
            head.wait_until_up()
        yield [head.ports.dashboard_url.rpartition(":")[2] for head in found]


def test_two_clusters_become_one_service(heads, tmp_path):
    """Deployed, routed to, asked, and taken down again."""
    ports = dict(zip(("8265", "8266"), heads, strict=True))
    with Reader(tmp_path, ports) as reader:
        reader.follow("how-to/two-clusters.md")
    assert "418 419" in reader.said["spillway status"]
    assert "counting" in reader.said["spillway fleet check fleet.yaml"]


def test_every_kind_of_job_is_submitted_to_a_cluster(heads, tmp_path):
    """Deploying, benchmarking, a batch, a calibration and a plan, each to its end."""
    with Reader(tmp_path, {"8265": heads[0]}) as reader:
        reader.bring("deploy/jobs")
        reader.follow("jobs.md")
    logs = list(reader.said.values())
    assert len(logs) == 6
    assert all("succeeded" in log for log in logs)
    assert "418 419" in (tmp_path / "answers.jsonl").read_text()
    calibrated = next(log for log in logs if "--calibrate" in log or "profile:" in log)
    assert "ttft:" in calibrated


def test_a_model_of_ones_own_is_served_on_one_machine(tmp_path):
    """By two vLLM engines, which `up --local --model` starts; by its name, and in a chat."""
    (tmp_path / "serving").symlink_to(ROOT / "serving")
    with Reader(tmp_path) as reader:
        reader.follow("how-to/model.md")
    assert "418 419" in reader.said["spillway status"]
    assert any("chat.completion" in said for said in reader.said.values())
