"""A site as its chart says, but for Kubernetes: Ray, the Serve config, the gateway, a client."""

import copy
import os
import random
import shlex
import tempfile
from pathlib import Path

import pytest
import yaml

from spillway.client import SyncClient
from spillway.client.errors import PermissionDeniedError
from spillway.client.tls import ClientTls
from spillway.local import ray_head
from spillway.local.kept import Kept
from spillway.local.ports import take_block
from spillway.ray_serve import RayServe, RayServeError
from tests.deploy.helm import ROOT, overlay, render
from tests.deploy.pods import of_kind
from tests.deploy.running import asked, started
from tests.trust.pki import FRONT, Pki
from tests.waiting import wait_until

pytestmark = [pytest.mark.live, pytest.mark.slow]

DEADLINE_S = 180.0


@pytest.fixture
def things():
    """A site of CPUs whose engines count, so that nothing is loaded."""
    values = copy.deepcopy(overlay("site-cpu"))
    values["pools"]["cpu"]["serving"]["engine"] = "fake"
    return render("spillway-site", values)


@pytest.fixture
def cluster(things):
    """What KubeRay is told."""
    [service] = of_kind(things, "RayService")
    return service["spec"]


@pytest.fixture
def ports(cluster):
    """A Ray node with the environment and the start parameters of the pool's pods."""
    [group] = cluster["rayClusterConfig"]["workerGroupSpecs"]
    [container] = group["template"]["spec"]["containers"]
    told = {one["name"]: one["value"] for one in container["env"] if one["name"] != "HOME"}
    parameters = shlex.split(f"--resources={group['rayStartParams']['resources']}")
    block = take_block(random.SystemRandom())
    found = ray_head.SitePorts(block)
    folder = Path(tempfile.mkdtemp(prefix="spw-", dir="/tmp")) / "site"
    command = [*ray_head.command(found, folder / "ray", cpus=4), *parameters]
    environment = ray_head.environment(found, folder, os.environ) | told
    with Kept(command, environment | {"PYTHONPATH": str(ROOT)}, folder):
        wait_until(lambda: _answers(RayServe(found.dashboard_url)), DEADLINE_S, every_s=0.25)
        yield found
    block.release()


def _answers(serve):
    try:
        serve.applications()
    except RayServeError:
        return False
    return True


def test_a_site_serves_through_its_gateway(things, cluster, ports, tmp_path):
    """Whom it accepts streams tokens of its engines; the probes of its pods are answered."""
    [group] = cluster["rayClusterConfig"]["workerGroupSpecs"]
    head = cluster["rayClusterConfig"]["headGroupSpec"]
    probed = {"dashboard": ports[ports.DASHBOARD], 52365: ports[ports.AGENT_HTTP]}
    for one in (head, group):
        [container] = one["template"]["spec"]["containers"]
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            wait_until(lambda asks=container[probe]: asked(asks, probed) == 200, DEADLINE_S)
    serve = RayServe(ports.dashboard_url)
    serve.deploy(yaml.safe_load(cluster["serveConfigV2"]))
    serve.wait_until_running("cpu", DEADLINE_S, lambda _status: None)
    assert len(serve.grpc_targets("cpu")) == 2
    pki = Pki(tmp_path / "authority")
    dashboards = [("http://site-head-svc.spillway.svc:8265", ports.dashboard_url)]
    with started(things, tmp_path / "etc", pki, dashboards) as (process, container, gateway):
        wait_until(
            lambda: (
                process.poll() is not None or asked(container["readinessProbe"], gateway) == 200
            ),
            DEADLINE_S,
        )
        assert process.poll() is None, process.communicate()[1]
        address = f"localhost:{gateway['grpc']}"
        shown = pki.issue(FRONT)
        with SyncClient(
            address, tls=ClientTls(pki.certificate, shown.certificate, shown.key)
        ) as client:
            assert client.generate("7", max_new_tokens=4).text == " 8 9"
        other = pki.issue("stranger.example.org")
        with (
            SyncClient(
                address, tls=ClientTls(pki.certificate, other.certificate, other.key)
            ) as stranger,
            pytest.raises(PermissionDeniedError),
        ):
            stranger.generate("7", max_new_tokens=4)
