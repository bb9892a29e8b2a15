"""Sites grow and shrink with what is asked of them, while streams run that never notice.

Everything is real but the engines, which count: a Ray cluster with an application for each site,
whose replicas Serve's own autoscaler starts and stops as the router wants them; the router and the
command as processes. Home has one replica or two, the metered site none or one.
"""

import contextlib
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from spillway.client import SyncClient
from spillway.local.head import LocalHead
from spillway.local.ray_head import HOST
from tests.router.faces.page.conftest import Program, free_ports
from tests.spillway.local.counting_streams import Streams, long_streams, streams, wait_for_tokens
from tests.waiting import DEADLINE_S, wait_until
from wire.spillway.v1.fleet_pb2 import EndpointState, SiteState

pytestmark = [pytest.mark.live, pytest.mark.slow]

HOME, CLOUD = "home", "cloud"
SLOTS = 4  # of each engine: twelve in all
TOKENS = 8  # of an answer: half a second
FEW, MANY, LONG = 1, 12, 3  # streams: one replica has room for the first and last together
SCALED_DEADLINE_S = 180.0
RESUMES = "spillway_resumes_total{"

FLEET = """
sites:
  home:
    kind: home
    ray: {{dashboard: "{dashboard}", application: home, host: {host}}}
    model: counting
    scale: {{min: 1, max: 2, start: 5s, spare: 4s, routers: ["127.0.0.1:{listen}"]}}
    serving: {serving}
  cloud:
    kind: rented
    ray: {{dashboard: "{dashboard}", application: cloud, host: {host}}}
    model: counting
    price: {{metered: 3.60 USD/h}}
    scale: {{min: 0, max: 1, start: 5s, spare: 4s, billing: 5s, routers: ["127.0.0.1:{listen}"]}}
    serving: {serving}
models:
  counting: {{source: counting}}
slo_classes:
  chat: {{ttft: 300ms, itl: 5s}}
autoscaling: {{level: 4s, look: 1s, find: 3s}}
router:
  listen: 127.0.0.1:{listen}
  metrics_listen: 127.0.0.1:{page}
  drain_timeout: 1s
"""
SERVING = "{engine: fake, num_cpus: 1, fake: {itl_s: 0.06, max_running: %d}}"


@dataclass
class Scaled:
    """The two sites, as their router sees them."""

    file: Path
    address: str
    metrics: str  # where its metrics are

    def site(self, name: str) -> SiteState:
        """A site as it is."""
        with SyncClient(self.address) as client:
            state = next(client.watch_fleet(deadline_s=DEADLINE_S))
        return next(one for one in state.sites if one.name == name)

    def serving(self, name: str) -> list[EndpointState]:
        """Its replicas that take turns."""
        listed = self.site(name).endpoints
        return [one for one in listed if one.health == one.UP and not one.draining]

    def counts(self) -> tuple[int, int]:
        """Replicas at home and in the cloud."""
        return len(self.serving(HOME)), len(self.serving(CLOUD))

    def resumes(self) -> float:
        """How many streams went on elsewhere."""
        with urllib.request.urlopen(self.metrics, timeout=DEADLINE_S) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(one.split()[-1]) for one in lines if one.startswith(RESUMES))

    def command(self, *arguments: str) -> None:
        """Runs `spillway` on the fleet file."""
        run = [sys.executable, "-m", "spillway", *arguments, "--fleet", str(self.file)]
        done = subprocess.run(run, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr


@pytest.fixture
def scaled(tmp_path, monkeypatch) -> Iterator[Scaled]:
    """Both sites, deployed by `spillway site up`, and a router."""
    monkeypatch.setenv("PYTHONPATH", str(Path.cwd()))
    head = LocalHead("scaled", Path(tempfile.mkdtemp(prefix="sw")) / "site", cpus=4)
    router = None
    try:
        head.wait_until_up()
        listen, page = free_ports(2)
        file = tmp_path / "fleet.yaml"
        file.write_text(
            FLEET.format(
                dashboard=head.ports.dashboard_url,
                host=HOST,
                listen=listen,
                page=page,
                serving=SERVING % SLOTS,
            )
        )
        made = Scaled(file, f"127.0.0.1:{listen}", f"http://127.0.0.1:{page}/metrics")
        for name in (HOME, CLOUD):
            made.command("site", "up", name)
        router = Program(["-m", "spillway", "route", str(file)], page)
        router.start()
        yield made
    finally:
        if router is not None:
            router.kill()
        head.stop()


def until_counts(scaled: Scaled, home: int, cloud: int, meanwhile: Streams | None = None) -> None:
    """Waits for what a cluster takes its time for; a look costs it something."""
    try:
        wait_until(
            lambda: scaled.counts() == (home, cloud) or (meanwhile and meanwhile.wrong),
            SCALED_DEADLINE_S,
            every_s=0.25,
        )
        assert meanwhile is None or not meanwhile.wrong, meanwhile.wrong[:3]
    except AssertionError:
        said = [scaled.site(name).scaling for name in (HOME, CLOUD)]
        wrong = meanwhile.wrong if meanwhile else []
        pytest.fail(f"not {home} and {cloud}: {scaled.counts()}; {wrong[:3]}; {said}")


def test_sites_grow_with_demand_and_shrink_without_a_broken_stream(scaled: Scaled):
    """The metered site from nothing and back to it, home from one replica to two and back.

    Streams are open on every replica when those that are not needed are given back.
    """
    until_counts(scaled, 1, 0)
    assert "requests/s" in scaled.site(CLOUD).scaling.reason
    with streams(scaled.address, FEW, TOKENS) as few:
        with contextlib.ExitStack() as crowd:
            many = crowd.enter_context(streams(scaled.address, MANY, TOKENS))
            until_counts(scaled, 2, 1, many)
            assert scaled.site(CLOUD).scaling.paid_usd > 0
            with long_streams(scaled.address, LONG) as long:
                many.wait_for_more()
                crowd.close()
                until_counts(scaled, 1, 0)
                wait_for_tokens(long)
                assert scaled.resumes() > 0
        few.wait_for_more()
