"""Routers of charts, started on this machine as their containers say."""

import http.client
import os
import socket
import subprocess
import sys
from contextlib import closing, contextmanager
from pathlib import Path

from router.live.key_file import line_of
from router.policy.api_key import ApiKey, digest_of, id_of
from tests.deploy.helm import ROOT
from tests.deploy.pods import of_kind, pods
from tests.router.live.keyed import OPS
from tests.waiting import DEADLINE_S

FILES = "/etc/spillway"
KEY = line_of(ApiKey(id_of(OPS), digest_of(OPS), "default"))


def free_port():
    """A port that nobody has right now."""
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def put_files(things, pod, folder, pki):
    """What is mounted below FILES, in `folder`: the chart's own files, and those of others."""
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
            issued = pki.issue("localhost")
            (place / "tls.crt").write_bytes(issued.certificate.read_bytes())
            (place / "tls.key").write_bytes(issued.key.read_bytes())
            (place / "ca.crt").write_bytes(pki.certificate.read_bytes())
        else:
            text = KEY if mount["name"] == "keys" else "0123456789abcdef" * 4
            for item in volume["secret"]["items"]:
                (place / item["path"]).write_text(f"{text}\n")


@contextmanager
def started(things, folder, pki, replaced=()):
    """The router of a chart, on free ports of this machine, with what its probes ask by name.

    `replaced` are addresses in its fleet file, each with another.
    """
    [pod] = [pod for pod in pods(things) if pod.owner.startswith("Deployment")]
    [container] = pod.containers
    put_files(things, pod, folder, pki)
    ports = {one["name"]: (one["containerPort"], free_port()) for one in container["ports"]}
    for path in folder.rglob("*.yaml"):
        text = path.read_text().replace(FILES, str(folder))
        for one, other in replaced:
            assert one in text
            text = text.replace(one, other)
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
