"""Containers start as the charts say: our own command, with the files that the pod has."""

import http.client
import os
import signal
import socket
import subprocess
import sys
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import redis

from router.live.key_file import line_of
from router.policy.api_key import ApiKey, digest_of, id_of
from spillway.local.store_server import StoreServer
from tests.deploy.helm import CASES, ROOT, overlay, render
from tests.deploy.pods import of_kind, pods
from tests.router.live.keyed import OPS
from tests.trust.pki import Pki
from tests.waiting import DEADLINE_S, wait_until

FILES = "/etc/spillway"
KEY = line_of(ApiKey(id_of(OPS), digest_of(OPS), "default"))


@pytest.fixture(params=CASES)
def things(request):
    """What a chart makes of an overlay."""
    return render(CASES[request.param], overlay(request.param))


def free_port():
    """A port that nobody has right now."""
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def put_files(things, pod, folder, names):
    """What is mounted below FILES, in `folder`: the chart's own files, and those of others."""
    pki = Pki(folder.with_name(f"{folder.name}-authority"))
    for mount in pod.containers[0]["volumeMounts"]:
        if not mount["mountPath"].startswith(FILES):
            continue
        place = folder / Path(mount["mountPath"]).relative_to(FILES)
        place.mkdir(parents=True)
        [volume] = [one for one in pod.spec["volumes"] if one["name"] == mount["name"]]
        if "items" in volume.get("configMap", ()):
            (place / "ca.crt").write_bytes(pki.certificate.read_bytes())
        elif "configMap" in volume:
            [config] = [
                one
                for one in of_kind(things, "ConfigMap")
                if one["metadata"]["name"] == volume["configMap"]["name"]
            ]
            for name, text in config["data"].items():
                (place / name).write_text(text)
        elif mount["name"] == "tls":
            issued = pki.issue(*names)
            (place / "tls.crt").write_bytes(issued.certificate.read_bytes())
            (place / "tls.key").write_bytes(issued.key.read_bytes())
            (place / "ca.crt").write_bytes(pki.certificate.read_bytes())
        else:
            text = KEY if mount["name"] == "keys" else "0123456789abcdef" * 4
            for item in volume["secret"]["items"]:
                (place / item["path"]).write_text(f"{text}\n")


@contextmanager
def started(things, folder):
    """The router of a chart, on free ports of this machine, with what its probes ask by name."""
    [pod] = [pod for pod in pods(things) if pod.owner.startswith("Deployment")]
    [container] = pod.containers
    put_files(things, pod, folder, ["localhost"])
    ports = {one["name"]: (one["containerPort"], free_port()) for one in container["ports"]}
    for path in folder.rglob("*.yaml"):
        text = path.read_text().replace(FILES, str(folder))
        for port, free in ports.values():
            text = text.replace(f"0.0.0.0:{port}", f"127.0.0.1:{free}")
        path.write_text(text)
    assert container["command"] == ["spillway"]
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "spillway",
            *(str(a).replace(FILES, str(folder)) for a in container["args"]),
        ],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process, container, {name: free for name, (_, free) in ports.items()}
    finally:
        process.kill()
        process.communicate()


def asked(probe, ports):
    """The status that a probe gets, or whether a connection is taken; None where nobody answers."""
    if "tcpSocket" in probe:
        with closing(socket.socket()) as asking:
            asking.settimeout(DEADLINE_S)
            return asking.connect_ex(("127.0.0.1", ports[probe["tcpSocket"]["port"]])) == 0
    way = probe["httpGet"]
    with closing(http.client.HTTPConnection("127.0.0.1", ports[way["port"]], DEADLINE_S)) as asking:
        try:
            asking.request("GET", way["path"])
            return asking.getresponse().status
        except ConnectionError:
            return None


def test_the_router_of_a_chart_starts_answers_its_probes_and_drains(things, tmp_path):
    """Live at once; not ready, for there is no engine; gone at SIGTERM, as nothing is open."""
    with started(things, tmp_path / "etc") as (process, container, ports):
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
    (tmp_path / "valkey-server").symlink_to(StoreServer(tmp_path).program)
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
