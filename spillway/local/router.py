"""The router of a local fleet: `spillway route` under a keeper, with a fleet file made for it."""

import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import grpc

from router.live.settings import RouterSettings, SiteAccess
from spillway.local.errors import LocalError
from spillway.local.fleet_file import fleet_file
from spillway.local.kept import Kept
from spillway.local.plan import FleetPlan
from spillway.local.ports import PortBlock
from spillway.local.ray_head import HOST
from wire.spillway.v1 import fleet_pb2, fleet_pb2_grpc

FLEET_FILE_NAME = "fleet.yaml"
LEASE_KEY_FILE_NAME = "lease_key"  # in a folder that is for this user alone
SERVING_DEADLINE_S = 60.0  # 2 s on an idle machine
WATCH_INTERVAL_MS = 200
GRACE_S = 2.0  # for the decision log; streams of a local fleet do not outlive it
ROUTER_PORT, METRICS_PORT, OPENAI_PORT = 1, 2, 3  # places in the router's block


class RouterError(LocalError):
    """The router does not serve; the message says why."""


class LocalRouter:
    """A router that runs until `stop()`."""

    def __init__(
        self,
        address: str,
        openai_address: str,
        metrics_address: str,
        block: PortBlock,
        kept: Kept,
    ) -> None:
        self.address = address
        self.openai_address = openai_address
        self.metrics_address = metrics_address  # of metrics and the fleet page
        self.kept = kept
        self._block = block

    @classmethod
    def launch(
        cls,
        plan: FleetPlan,
        ways: Sequence[SiteAccess],
        block: PortBlock,
        folder: Path,
        lease_key: str,
    ) -> "LocalRouter":
        """Start the router in `folder`, without waiting for it; it signs leases with the key.

        Raises:
            KeptError: it cannot be started.
        """
        address = plan.listen or f"{HOST}:{block.port(ROUTER_PORT)}"
        metrics = f"{HOST}:{block.port(METRICS_PORT)}"
        openai = plan.openai_listen or f"{HOST}:{block.port(OPENAI_PORT)}"
        listen = RouterSettings(
            listen=address,
            metrics_listen=metrics,
            openai_listen=openai,
            lease_key_file=folder / LEASE_KEY_FILE_NAME,
        )
        text = fleet_file(plan, ways, listen)
        command = [sys.executable, "-m", "spillway", "route", FLEET_FILE_NAME]
        files = {FLEET_FILE_NAME: text, LEASE_KEY_FILE_NAME: f"{lease_key}\n"}
        kept = Kept(command, os.environ, folder, files=files, grace_s=GRACE_S)
        return cls(address, openai, metrics, block, kept)

    @property
    def fleet_file(self) -> Path:
        """The fleet file it was started with."""
        return self.kept.folder / FLEET_FILE_NAME

    def wait_until_serving(self, replicas: Mapping[str, int]) -> None:
        """Wait until the router sees this many replicas up at each site.

        Raises:
            RouterError: it ended, or does not see them in time.
        """
        give_up = time.monotonic() + SERVING_DEADLINE_S
        missing = "it does not answer"
        while time.monotonic() < give_up and self.kept.running:
            try:
                with grpc.insecure_channel(self.address) as channel:
                    missing = _wait_for(channel, replicas, give_up)
            except grpc.RpcError:  # not up yet
                time.sleep(WATCH_INTERVAL_MS / 1000)
            if not missing:
                return
        if not self.kept.running:
            lines = self.kept.output.strip().splitlines()
            missing = f"it ended: {lines[-1] if lines else 'it printed nothing'}"
        raise RouterError(f"The router at {self.address} does not serve: {missing}.")

    def stop(self) -> None:
        """End it and give its ports back."""
        self.kept.stop()
        self._block.release()


def _wait_for(channel: grpc.Channel, replicas: Mapping[str, int], give_up: float) -> str:
    """Watch until nothing is missing (empty), or time is over (what is)."""
    request = fleet_pb2.WatchFleetRequest(interval_ms=WATCH_INTERVAL_MS)
    states = fleet_pb2_grpc.FleetStub(channel).Watch(
        request, timeout=max(0.1, give_up - time.monotonic())
    )
    missing = ""
    try:
        for state in states:
            up = {site.name: _replicas_up(site) for site in state.sites}
            lacking = [name for name, wanted in replicas.items() if up.get(name, 0) < wanted]
            missing = f"it sees too few replicas at {' and '.join(lacking)}" if lacking else ""
            if not missing:
                break
    finally:
        states.cancel()
    return missing


def _replicas_up(site: fleet_pb2.SiteState) -> int:
    up = fleet_pb2.EndpointState.Health.UP
    return sum(endpoint.health == up for endpoint in site.endpoints)
