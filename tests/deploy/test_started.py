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

from tests.deploy.helm import ROOT, overlay, render
from tests.deploy.pods import of_kind, pods
from tests.trust.pki import Pki
from tests.waiting import DEADLINE_S, wait_until

CASES = {
    "site-home": "spillway-site",
    "site-rented": "spillway-site",
    "site-cpu": "spillway-site",
}
FILES = "/etc/spillway"


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
    for mount in pod.containers[0]["volumeMounts"]:
        if not mount["mountPath"].startswith(FILES):
            continue
        place = folder / Path(mount["mountPath"]).relative_to(FILES)
        place.mkdir(parents=True)
        [volume] = [one for one in pod.spec["volumes"] if one["name"] == mount["name"]]
        if "configMap" in volume:
            [config] = [
                one
                for one in of_kind(things, "ConfigMap")
                if one["metadata"]["name"] == volume["configMap"]["name"]
            ]
            for name, text in config["data"].items():
                (place / name).write_text(text)
        elif mount["name"] == "tls":
            pki = Pki(folder.with_name(f"{folder.name}-authority"))
            issued = pki.issue(*names)
            (place / "tls.crt").write_bytes(issued.certificate.read_bytes())
            (place / "tls.key").write_bytes(issued.key.read_bytes())
            (place / "ca.crt").write_bytes(pki.certificate.read_bytes())
        else:
            for item in volume["secret"]["items"]:
                (place / item["path"]).write_text(f"{'0123456789abcdef' * 4}\n")


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
    """The status that a probe gets; None where nobody answers."""
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
        wait_until(
            lambda: process.poll() is not None or asked(container["startupProbe"], ports) == 200
        )
        assert process.poll() is None, process.communicate()[1]
        assert asked(container["livenessProbe"], ports) == 200
        assert asked(container["readinessProbe"], ports) == 503
        with closing(socket.create_connection(("127.0.0.1", ports["grpc"]), DEADLINE_S)):
            pass
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=DEADLINE_S)[1]
        assert process.returncode == 0, said
