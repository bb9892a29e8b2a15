"""One site on this machine: a Ray head under a keeper, and the serving application on it."""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spillway.local import ray_head
from spillway.local.errors import LocalError
from spillway.local.kept import Kept
from spillway.local.plan import SitePlan
from spillway.local.ports import PortBlock
from spillway.ray_serve import ApplicationStatus, RayServe, RayServeError

APPLICATION = "spillway"
HEAD_DEADLINE_S = 180.0  # 6 s on an idle machine, a minute on one that compiles beside it
APPLICATION_DEADLINE_S = 420.0  # 30 s on an idle machine; a GPU engine may capture graphs first
CPUS_FOR_JOBS = 4  # of Ray's count, which reserves nothing real
POLL_INTERVAL_S = 0.25


class SiteError(LocalError):
    """A site did not start; the message says why."""


@dataclass
class LocalSite:
    """A site that runs, or is being started, until `stop()`."""

    plan: SitePlan
    block: PortBlock
    kept: Kept
    _stopping: threading.Event = field(default_factory=threading.Event)

    @classmethod
    def launch(cls, plan: SitePlan, block: PortBlock, folder: Path) -> "LocalSite":
        """Start the site's Ray head in `folder`, without waiting for it.

        Raises:
            KeptError: it cannot be started.
        """
        ports = ray_head.SitePorts(block)
        cpus = plan.replicas + CPUS_FOR_JOBS
        command = ray_head.command(ports, folder / "ray", cpus)
        return cls(
            plan, block, Kept(command, ray_head.environment(ports, folder, os.environ), folder)
        )

    @property
    def ports(self) -> ray_head.SitePorts:
        """What its ports are for."""
        return ray_head.SitePorts(self.block)

    @property
    def serve(self) -> RayServe:
        """Its Ray Serve."""
        return RayServe(self.ports.dashboard_url)

    def replica_addresses(self) -> list[str]:
        """The gRPC addresses (host:port) of its replicas, as reached from this machine."""
        targets = self.serve.grpc_targets(APPLICATION)
        return [f"{ray_head.HOST}:{target.rpartition(':')[2]}" for target in targets]

    def start(self, say: Callable[[str], None]) -> None:
        """Wait for the head, deploy the application and wait until it serves.

        `say` hears what the site is doing, in a few words.

        Raises:
            SiteError: the site failed, was stopped, or is too slow.
        """
        say("starting Ray")
        self._wait_for_head()
        say("starting Serve")
        try:
            self.serve.deploy(serve_config(self.plan, self.ports))
            said = _SayOnce(say)
            self.serve.wait_until_running(APPLICATION, APPLICATION_DEADLINE_S, said.status)
        except RayServeError as error:
            raise self._failure(str(error)) from error
        say("ready")

    def stop(self) -> None:
        """End the site and give its ports back."""
        self._stopping.set()
        self.kept.stop()
        self.block.release()

    def _wait_for_head(self) -> None:
        give_up = time.monotonic() + HEAD_DEADLINE_S
        while True:
            try:
                self.serve.applications()
            except RayServeError as error:
                if not self.kept.running or time.monotonic() > give_up:
                    raise self._failure(f"Ray did not start: {error}") from error
                self._stopping.wait(POLL_INTERVAL_S)
            else:
                return

    def _failure(self, reason: str) -> SiteError:
        """What to tell: the reason, or the head's own last words where it ended."""
        if self._stopping.is_set():
            return SiteError(f"Site {self.plan.name} was stopped while it started.")
        if not self.kept.running:
            lines = self.kept.output.strip().splitlines()
            reason = f"its Ray head ended: {lines[-1] if lines else 'it printed nothing'}"
        return SiteError(f"Site {self.plan.name} did not start: {reason}")


def serve_config(plan: SitePlan, ports: ray_head.SitePorts) -> dict[str, Any]:
    """The Serve config of a local site: the application with the plan's arguments."""
    return {
        "proxy_location": "Disabled",  # clients come to the replicas' own ports
        "http_options": {"host": ray_head.HOST, "port": ports[ports.SERVE_HTTP]},
        "grpc_options": {
            "port": ports[ports.SERVE_GRPC],
            "grpc_servicer_functions": ["serving.replica.add_replica_to_server"],
        },
        "applications": [
            {
                "name": APPLICATION,
                "route_prefix": "/",
                "import_path": "serving.app:build",
                "args": dict(plan.serving),
            }
        ],
    }


class _SayOnce:
    """Turns the application's status into words, and says each once."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._said = ""

    def status(self, status: ApplicationStatus) -> None:
        """One look at the application."""
        replicas = status.replicas_running + status.replicas_starting
        words = "building the application"
        if replicas:
            words = f"loading engines ({status.replicas_running} of {replicas} ready)"
        if words != self._said:
            self._said = words
            self._say(words)
