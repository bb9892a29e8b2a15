"""One site on this machine: a Ray head, and the serving application on it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from serving.serve_environment import GRPC_SERVICES
from spillway.local import ray_head
from spillway.local.head import LocalHead
from spillway.local.plan import SitePlan
from spillway.ray_serve import ApplicationStatus, RayServeError
from wire.lease_keys import KEYS_ENV

APPLICATION = "spillway"
APPLICATION_DEADLINE_S = 420.0  # 30 s on an idle machine; a GPU engine may capture graphs first
CPUS_FOR_JOBS = 4  # of Ray's count, which reserves nothing real


class LocalSite(LocalHead):
    """A site that runs, or is being started, until `stop()`."""

    def __init__(self, plan: SitePlan, folder: Path, lease_key: str = "") -> None:
        """Launch its head in `folder`, without waiting for it; its replicas take leases by a key.

        The key goes by the environment, since a dashboard shows an application's arguments.
        """
        self.plan = plan
        env = {KEYS_ENV: lease_key} if lease_key else {}
        super().__init__(plan.name, folder, plan.replicas + CPUS_FOR_JOBS, env)

    def replica_addresses(self) -> list[str]:
        """The gRPC addresses (host:port) of its replicas, as reached from this machine."""
        targets = self.serve.grpc_targets(APPLICATION)
        return [f"{ray_head.HOST}:{target.rpartition(':')[2]}" for target in targets]

    def start(self, say: Callable[[str], None]) -> None:
        """Wait for the head, deploy the application and wait until it serves.

        `say` hears what the site is doing, in a few words.

        Raises:
            HeadError: the site failed, was stopped, or is too slow.
        """
        say("starting Ray")
        self.wait_until_up()
        say("starting Serve")
        try:
            self.serve.deploy(serve_config(self.plan, self.ports))
            self.serve.wait_until_running(
                APPLICATION, APPLICATION_DEADLINE_S, lambda status: say(_in_words(status))
            )
        except RayServeError as error:
            raise self.failure(str(error)) from error
        say("ready")


def serve_config(plan: SitePlan, ports: ray_head.SitePorts) -> dict[str, Any]:
    """The Serve config of a local site: the application with the plan's arguments."""
    return {
        "proxy_location": "Disabled",  # clients come to the replicas' own ports
        "http_options": {"host": ray_head.HOST, "port": ports[ports.SERVE_HTTP]},
        "grpc_options": {
            "port": ports[ports.SERVE_GRPC],
            "grpc_servicer_functions": [GRPC_SERVICES],
        },
        "applications": [
            {
                "name": APPLICATION,
                "route_prefix": "/",
                "import_path": "serving.app:build",
                "args": dict(plan.serving),
                "external_scaler_enabled": True,
            }
        ],
    }


def _in_words(status: ApplicationStatus) -> str:
    replicas = status.replicas_running + status.replicas_starting
    if not replicas:
        return "building the application"
    return f"loading engines ({status.replicas_running} of {replicas} ready)"
