"""A router in a process of its own, as `spillway route` runs it, to be killed and replaced."""

import os
import random
import signal
import sys
from dataclasses import replace
from pathlib import Path

import grpc

from router.live.settings import RouterSettings, SiteAccess
from router.policy.fleet import Fleet
from spillway.fleet import FleetFile, write
from spillway.local.descendants import descendants
from spillway.local.kept import Kept
from spillway.local.ports import take_block
from spillway.local.ray_head import HOST
from spillway.local.router import FLEET_FILE_NAME, METRICS_PORT, ROUTER_PORT
from wire.lease_keys import KEYS_ENV

START_DEADLINE_S = 60.0  # 2 s on an idle machine
GRACE_S = 20.0  # SIGTERM lets open streams finish; see drain_timeout_s
DRAIN_TIMEOUT_S = 2.0  # short, so that streams of a router that is replaced have to move


class RouterProcess:
    """One router at an address that stays its own from one process to the next."""

    def __init__(
        self,
        fleet: Fleet,
        access: tuple[SiteAccess, ...],
        folder: Path,
        lease_key: str = "",
        settings: RouterSettings = RouterSettings(),  # noqa: B008 - a frozen value
    ) -> None:
        """It signs leases with the key, if it is given one; where it listens is found here."""
        self._block = take_block(random.SystemRandom())
        self.address = f"{HOST}:{self._block.port(ROUTER_PORT)}"
        settings = replace(
            settings,
            listen=self.address,
            metrics_listen=f"{HOST}:{self._block.port(METRICS_PORT)}",
            drain_timeout_s=DRAIN_TIMEOUT_S,
        )
        self._env = {**os.environ, **({KEYS_ENV: lease_key} if lease_key else {})}
        self._text = write(FleetFile(fleet, access, settings))
        self._folder = folder
        self._launches = 0
        self._kept = self._launch()

    @property
    def pid(self) -> int:
        """The router's process id."""
        return next(pid for pid, parent in descendants(self._kept.pid) if parent == self._kept.pid)

    @property
    def runs(self) -> bool:
        """Whether its process has not ended."""
        return self._kept.running

    @property
    def output(self) -> str:
        """The last of what it printed."""
        return self._kept.output

    def wait_until_listening(self) -> None:
        """Wait until it can be asked. Raises grpc.FutureTimeoutError where it never can."""
        with grpc.insecure_channel(self.address) as channel:
            grpc.channel_ready_future(channel).result(START_DEADLINE_S)

    def end(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def wait_until_ended(self) -> None:
        """Wait for its process to end after a signal."""
        self._kept.wait(GRACE_S)

    def restart(self) -> None:
        """Start it again at its address, whether or not the one before still runs."""
        self._kept.stop()
        self._kept = self._launch()

    def stop(self) -> None:
        """End it and give its ports back."""
        self._kept.stop()
        self._block.release()

    def _launch(self) -> Kept:
        self._launches += 1
        command = [sys.executable, "-m", "spillway", "route", FLEET_FILE_NAME]
        folder = self._folder.with_name(f"{self._folder.name}-{self._launches}")
        return Kept(
            command, self._env, folder, files={FLEET_FILE_NAME: self._text}, grace_s=GRACE_S
        )
