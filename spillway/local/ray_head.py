"""The command and environment of one site's Ray head, with every default that could clash named."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from serving.serve_environment import CLUSTER_ENVIRONMENT
from spillway.local.ports import BLOCK_PORTS, PortBlock

MIB = 1024**2
OBJECT_STORE_BYTES = 80 * MIB  # Ray's least is 75 MiB; tokens do not travel through it
HOST = "127.0.0.1"


@dataclass(frozen=True)
class SitePorts:
    """What each place of a site's block is for."""

    block: PortBlock

    GCS, DASHBOARD, AGENT_HTTP, AGENT_GRPC, RUNTIME_ENV, METRICS, NODE, OBJECTS = range(1, 9)
    CLIENT, SERVE_HTTP, SERVE_GRPC = 9, 10, 11
    INGRESS_HTTP, INGRESS_GRPC, WORKERS = 16, 32, 48  # the first of each range
    INGRESS_PORTS = 16  # replicas of an application on this site

    def __getitem__(self, place: int) -> int:
        return self.block.port(place)

    @property
    def dashboard_url(self) -> str:
        """Where jobs are submitted and Serve's state is read."""
        return f"http://{HOST}:{self[self.DASHBOARD]}"


def command(ports: SitePorts, folder: Path, cpus: int) -> list[str]:
    """`ray start` in the foreground; `folder` is short, for the sockets in it."""
    named = {
        "port": ports[SitePorts.GCS],
        "node-ip-address": HOST,
        "dashboard-host": HOST,
        "dashboard-port": ports[SitePorts.DASHBOARD],
        "dashboard-agent-listen-port": ports[SitePorts.AGENT_HTTP],
        "dashboard-agent-grpc-port": ports[SitePorts.AGENT_GRPC],
        "runtime-env-agent-port": ports[SitePorts.RUNTIME_ENV],
        "metrics-export-port": ports[SitePorts.METRICS],
        "node-manager-port": ports[SitePorts.NODE],
        "object-manager-port": ports[SitePorts.OBJECTS],
        "ray-client-server-port": ports[SitePorts.CLIENT],
        "min-worker-port": ports[SitePorts.WORKERS],
        "max-worker-port": ports[BLOCK_PORTS - 1],
        "temp-dir": folder,
        "num-cpus": cpus,
        "object-store-memory": OBJECT_STORE_BYTES,
        "include-dashboard": "true",
    }
    ray = str(Path(sys.executable).with_name("ray"))
    options = [f"--{name}={value}" for name, value in named.items()]
    return [ray, "start", "--head", "--block", "--disable-usage-stats", "--no-monitor", *options]


def environment(ports: SitePorts, folder: Path, base: Mapping[str, str]) -> dict[str, str]:
    """`base` without what points Ray elsewhere, and with what this site needs."""
    kept = {name: value for name, value in base.items() if not name.startswith("RAY_")}
    http, grpc = ports[SitePorts.INGRESS_HTTP], ports[SitePorts.INGRESS_GRPC]
    last = SitePorts.INGRESS_PORTS - 1
    return (
        kept
        | CLUSTER_ENVIRONMENT
        | {
            "PATH": os.pathsep.join(
                (str(Path(sys.executable).parent), base.get("PATH", os.defpath))
            ),
            "TMPDIR": str(folder),  # what the engines write goes with the site
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_AUTH_MODE": "disabled",
            "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT": str(http),
            "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT": str(http + last),
            "RAY_SERVE_DIRECT_INGRESS_MIN_GRPC_PORT": str(grpc),
            "RAY_SERVE_DIRECT_INGRESS_MAX_GRPC_PORT": str(grpc + last),
            "HF_HUB_OFFLINE": "1",
            "VLLM_NO_USAGE_STATS": "1",
            "DO_NOT_TRACK": "1",
        }
    )
