"""Containers start as the charts say: our own command, with the files that the pod has."""

import os
import signal
import subprocess
from contextlib import closing

import pytest
import redis

from spillway.local.store_server import find_program
from tests.deploy.helm import CASES, overlay, render
from tests.deploy.pods import of_kind, pods
from tests.deploy.running import asked, free_port, started
from tests.trust.pki import Pki
from tests.waiting import DEADLINE_S, wait_until


@pytest.fixture(params=CASES)
def things(request):
    """What a chart makes of an overlay."""
    return render(CASES[request.param], overlay(request.param))


def test_the_router_of_a_chart_starts_answers_its_probes_and_drains(things, tmp_path):
    """Live at once; not ready, for there is no engine; gone at SIGTERM, as nothing is open."""
    with started(things, tmp_path / "etc", Pki(tmp_path / "authority")) as (
        process,
        container,
        ports,
    ):
        wait_until(lambda: process.poll() is not None or asked(container["startupProbe"], ports))
        assert process.poll() is None, process.communicate()[1]
        wait_until(lambda: asked(container["livenessProbe"], ports) == 200)
        assert asked(container["readinessProbe"], ports) == 503
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=DEADLINE_S)[1]
        assert process.returncode == 0, said


def test_the_store_of_a_chart_starts_and_asks_for_its_password(tmp_path):
    """By the very command of its container, with a server of this machine."""
    things = render("spillway-router", overlay("router"))
    [pod] = [pod for pod in pods(things) if pod.owner.startswith("StatefulSet")]
    [container] = pod.containers
    [config] = [one for one in of_kind(things, "ConfigMap") if "valkey.conf" in one["data"]]
    port = free_port()
    (tmp_path / "valkey.conf").write_text(
        config["data"]["valkey.conf"]
        .replace("port 6379", f"port {port}\nbind 127.0.0.1")
        .replace("/data", str(tmp_path))
    )
    (tmp_path / "password").write_text("sesame\n")
    (tmp_path / "valkey-server").symlink_to(find_program())
    [script] = container["args"]
    script = script.replace("/etc/valkey-password", str(tmp_path))
    process = subprocess.Popen(
        [*container["command"], script.replace("/etc/valkey", str(tmp_path))],
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        wait_until(
            lambda: process.poll() is not None or asked(container["startupProbe"], {"valkey": port})
        )
        assert process.poll() is None, process.communicate()[0]
        with closing(redis.Redis(port=port, password="sesame")) as known:
            assert known.config_get("appendonly")["appendonly"] == "yes"
            assert known.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"
        with closing(redis.Redis(port=port)) as stranger, pytest.raises(redis.RedisError):
            stranger.ping()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=DEADLINE_S)
        assert process.returncode == 0
    finally:
        process.kill()
        process.communicate()
