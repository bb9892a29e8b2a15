"""Home lends a replica to a training job and takes it back, while streams run that never notice.

Everything is real but the engines, which count: a Ray cluster whose CPUs are all taken by two
replicas, the router and the command as processes, and torch in a job that waits for room.
"""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from benchmarks.lending import training_job
from router.policy.fleet import SiteKind
from spillway.client import SyncClient
from spillway.local.fleet import LocalFleet
from spillway.local.plan import FleetPlan, SitePlan
from spillway.local.ray_head import HOST
from spillway.local.reporter import Silent
from spillway.local.site import APPLICATION
from spillway.local.two_sites import HOME, fake_engine, two_sites
from tests.router.faces.page.conftest import Program, free_ports
from tests.spillway.local.counting_streams import streams
from tests.waiting import DEADLINE_S, wait_until
from wire.spillway.v1.fleet_pb2 import Lent

pytestmark = [pytest.mark.live, pytest.mark.slow]

CPUS = 3  # of each replica: two take all six that a local site of two has
TOKENS = 150
READERS = 4
CLUSTER_DEADLINE_S = 240.0

FLEET = """
sites:
  home:
    kind: home
    ray: {{dashboard: "{dashboard}", application: {application}, host: {host}}}
    capacity: {{replicas: 2}}
    reclaim: {{grace: 2s}}
slo_classes:
  chat: {{ttft: 10s, itl: 5s}}
router:
  listen: 127.0.0.1:{listen}
  metrics_listen: 127.0.0.1:{page}
  drain_timeout: 1s
"""


@dataclass
class Home:
    """A site of two replicas and its router."""

    dashboard: str
    address: str
    router: Program

    def command(self, *arguments: str) -> str:
        """What `spillway` says."""
        run = [sys.executable, "-m", "spillway", *arguments, "--address", self.address]
        done = subprocess.run(run, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def lent(self) -> Lent | None:
        """What home lends."""
        with SyncClient(self.address) as client:
            return next(iter(client.lent()), None)

    def up(self) -> int:
        """Replicas that take turns."""
        with SyncClient(self.address) as client:
            (site,) = next(client.watch_fleet(deadline_s=DEADLINE_S)).sites
        return sum(one.health == one.UP and not one.draining for one in site.endpoints)

    def job(self, name: str) -> str:
        """How a job is, as Ray has it."""
        with urllib.request.urlopen(f"{self.dashboard}/api/jobs/{name}", timeout=60) as answer:
            return json.load(answer)["status"]

    def log(self, name: str) -> str:
        """What a job has printed."""
        url = f"{self.dashboard}/api/jobs/{name}/logs"
        with urllib.request.urlopen(url, timeout=60) as answer:
            return json.load(answer)["logs"]

    def train(self, name: str, checkpoint: Path, steps: int) -> None:
        """Submits the training job, which needs as much as a replica."""
        script = str(Path(training_job.__file__))
        ray = str(Path(sys.executable).with_name("ray"))
        submit = (
            *(ray, "job", "submit", "--address", self.dashboard, "--no-wait"),
            *("--submission-id", name, "--entrypoint-num-cpus", str(CPUS)),
            *("--metadata-json", '{"spillway": "borrower"}'),
            *("--runtime-env-json", '{"env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": "60"}}'),
            *("--", sys.executable, script, "--checkpoint", str(checkpoint), "--steps", str(steps)),
        )
        subprocess.run(submit, capture_output=True, timeout=120, check=True)

    def until_job(self, name: str, status: str) -> None:
        """Waits for a job."""
        until(lambda: self.job(name) == status)


def until(condition: Callable[[], object]) -> None:
    """Waits for what a cluster takes its time for; a look costs it something."""
    wait_until(condition, CLUSTER_DEADLINE_S, every_s=0.25)


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Iterator[Home]:
    """Started once; a test leaves both replicas at home."""
    settings = fake_engine() | {"replicas": 2, "num_cpus": CPUS, "fake": {"itl_s": 0.02}}
    site = SitePlan(HOME, SiteKind.HOME, settings)
    plan = FleetPlan((site,), two_sites(fake_engine()).slo_classes)
    with LocalFleet(plan, Silent()) as fleet:
        fleet.start_sites()
        dashboard = fleet.sites[HOME].ports.dashboard_url
        ports = dict(zip(("listen", "page"), free_ports(2), strict=True))
        file = tmp_path_factory.mktemp("lending") / "fleet.yaml"
        named = {"dashboard": dashboard, "application": APPLICATION, "host": HOST}
        file.write_text(FLEET.format(**named, **ports))
        router = Program(["-m", "spillway", "route", str(file)], ports["page"])
        try:
            router.start()
            made = Home(dashboard, f"127.0.0.1:{ports['listen']}", router)
            wait_until(lambda: made.up() == 2)
            yield made
        finally:
            router.kill()


def test_a_training_job_borrows_a_replica_and_streams_never_notice(home: Home, tmp_path: Path):
    """It starts when the loan frees its place, writes its checkpoint when it is told to, and ends.

    Lent again, it goes on where it was and comes to its end by itself.
    """
    checkpoint = tmp_path / "model.pt"
    with streams(home.address, READERS, TOKENS) as running:
        home.train("first", checkpoint, 1_000_000)
        assert home.job("first") == "PENDING"
        said = home.command("lend", HOME, "-n", "1", "-u", "+1h", "-r", "fine-tune")
        assert said.startswith("home lends 1 of 2 replicas until ")
        home.until_job("first", "RUNNING")
        assert home.up() == 1
        until(lambda: home.lent().phase == Lent.AWAY)
        assert "fine-tune" in home.command("lend", "list")
        until(lambda: "begins at step 0" in home.log("first"))
        running.wait_for_more()

        assert home.command("reclaim", HOME) == "home lends nothing.\n"
        home.until_job("first", "STOPPED")
        until(lambda: home.up() == 2 and not home.lent())
        step = torch.load(checkpoint, weights_only=True)["step"]
        assert step > 0
        assert f"told to end at step {step}" in home.log("first")
        running.wait_for_more()

        home.train("second", checkpoint, step + 20)
        home.command("lend", HOME, "-n", "1", "-u", "+1h")
        home.until_job("second", "SUCCEEDED")
        assert f"begins at step {step}" in home.log("second")
        assert f"done at step {step + 20}" in home.log("second")
        home.command("reclaim", HOME)
        until(lambda: home.up() == 2)
        assert running.refused == 0


def test_a_loan_outlives_its_router_and_ends_on_time(home: Home):
    """One that is started anew finds it at the cluster, and takes back when its time has come."""
    home.command("lend", HOME, "-n", "1", "-u", "+1h", "-r", "short")
    until(lambda: (lent := home.lent()) and lent.phase == Lent.AWAY)
    home.router.kill()
    home.router.start()
    until(lambda: (lent := home.lent()) and lent.reason == "short")
    assert home.up() == 1
    home.command("lend", HOME, "-n", "1", "-u", "+15s")  # a busy machine takes some to say it
    until(lambda: home.up() == 2)
    until(lambda: not home.lent())
