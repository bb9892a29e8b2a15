"""A Ray head on this machine, under a keeper, on ports of its own."""

import os
import random
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from spillway.local import ray_head
from spillway.local.errors import LocalError
from spillway.local.kept import Kept
from spillway.local.ports import PortBlock, take_block
from spillway.ray_serve import RayServe, RayServeError

# On a machine busy with other things Ray gives a start up after 30 seconds, and somebody may open
# one of its ports between our look and Ray's: then it is tried again, on other ports.
LAUNCHES_MAX = 4
UP_DEADLINE_S = 240.0  # 6 s on an idle machine
POLL_INTERVAL_S = 0.25

_rng = random.SystemRandom()  # two fleets that start together must not draw alike


class HeadError(LocalError):
    """A head did not start; the message says why."""


class LocalHead:
    """A head that runs, or is being started, until `stop()`."""

    def __init__(
        self, name: str, folder: Path, cpus: int, env: Mapping[str, str] | None = None
    ) -> None:
        """Launch it in `folder`, without waiting for it; `env` is for it and its workers.

        Raises:
            LocalError: there are no ports, or it cannot be launched.
        """
        self.name = name
        self._folder = folder
        self._cpus = cpus
        self._env = dict(env or {})
        self._lock = threading.Lock()  # `stop` comes from another thread than the waiting one
        self._stopping = threading.Event()
        self._block, self.kept = self._launch()

    @property
    def ports(self) -> ray_head.SitePorts:
        """What its ports are for."""
        return ray_head.SitePorts(self._block)

    @property
    def serve(self) -> RayServe:
        """Its Ray Serve."""
        return RayServe(self.ports.dashboard_url)

    def wait_until_up(self) -> None:
        """Wait until its dashboard answers.

        Raises:
            HeadError: it ended again and again, is too slow, or was stopped.
        """
        give_up = time.monotonic() + UP_DEADLINE_S
        launches = 1
        while not self._answers():
            if time.monotonic() > give_up:
                raise self.failure("its dashboard does not answer")
            if not self.kept.running:
                if launches == LAUNCHES_MAX or self._stopping.is_set():
                    raise self.failure("")
                launches += 1
                self._relaunch()
            self._stopping.wait(POLL_INTERVAL_S)

    def failure(self, reason: str) -> HeadError:
        """What to tell: the reason, or the head's own last words where it has ended."""
        if self._stopping.is_set():
            return HeadError(f"Site {self.name} was stopped while it started.")
        if not self.kept.running:
            lines = self.kept.output.strip().splitlines()
            reason = f"its Ray head ended: {lines[-1] if lines else 'it printed nothing'}"
        return HeadError(f"Site {self.name} did not start: {reason}")

    def stop(self) -> None:
        """End it and give its ports back."""
        self._stopping.set()
        with self._lock:
            self.kept.stop()
            self._block.release()

    def _answers(self) -> bool:
        try:
            self.serve.applications()
        except RayServeError:
            return False
        return True

    def _launch(self) -> tuple[PortBlock, Kept]:
        block = take_block(_rng)
        ports = ray_head.SitePorts(block)
        command = ray_head.command(ports, self._folder, self._cpus)
        try:
            env = ray_head.environment(ports, self._folder, {**os.environ, **self._env})
            return block, Kept(command, env, self._folder)
        except BaseException:
            block.release()
            raise

    def _relaunch(self) -> None:
        with self._lock:
            if not self._stopping.is_set():
                self.kept.stop()
                self._block.release()
                self._block, self.kept = self._launch()
