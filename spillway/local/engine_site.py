"""A site of plain processes: engines that count, each behind a server of its own, without Ray.

They start in seconds, each engine is one process, and what has ended is started again at its
address when `mend` is asked to.
"""

import os
import re
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from spillway.local.descendants import descendants
from spillway.local.errors import LocalError
from spillway.local.kept import Kept

START_DEADLINE_S = 60.0  # 2 s on an idle machine
STOP_GRACE_S = 10.0  # what serving.standalone gives its streams at SIGTERM
POLL_INTERVAL_S = 0.05
PROGRAM = ("serving.standalone",)
_SERVING = re.compile(r"serving \S+ on \S+:(\d+)")


class EngineError(LocalError):
    """An engine's process does not serve; the message says why."""


class _Engine:
    """One process; its port is its own for as long as the site lives."""

    def __init__(
        self, arguments: Mapping[str, object], folder: Path, env: Mapping[str, str]
    ) -> None:
        self._arguments = arguments
        self._env = {**os.environ, **env}
        self._folder = folder
        self.program: Sequence[str] = PROGRAM
        self.launches = 0
        self.port = 0
        self.kept = self._launch()

    @property
    def pid(self) -> int:
        """The server's process id."""
        return next(pid for pid, parent in descendants(self.kept.pid) if parent == self.kept.pid)

    @property
    def address(self) -> str:
        """Where it serves."""
        return f"127.0.0.1:{self.port}"

    def wait_until_serving(self) -> None:
        """Wait for its address. Raises EngineError where it has none in time."""
        give_up = time.monotonic() + START_DEADLINE_S
        while self.kept.running and time.monotonic() < give_up:
            if found := _SERVING.search(self.kept.output):
                self.port = int(found[1])
                return
            time.sleep(POLL_INTERVAL_S)
        raise EngineError(f"An engine does not serve: {self.kept.output.strip()[-300:]}")

    def restart(self) -> None:
        """End it, in the orderly way where it still runs, and start it again at its address."""
        self.kept.stop()
        self.kept = self._launch()

    def serves(self) -> bool:
        """Whether its process runs and its engine is alive."""
        if not self.kept.running:
            return False
        with grpc.insecure_channel(self.address) as channel:
            try:
                answer = health_pb2_grpc.HealthStub(channel).Check(
                    health_pb2.HealthCheckRequest(), timeout=5
                )
            except grpc.RpcError:
                return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    def _launch(self) -> Kept:
        self.launches += 1
        pairs = [f"{name}={value}" for name, value in self._arguments.items()]
        command = [sys.executable, "-m", *self.program, f"port={self.port}", *pairs]
        folder = self._folder.with_name(f"{self._folder.name}-{self.launches}")
        return Kept(command, self._env, folder, grace_s=STOP_GRACE_S)


class EngineSite:
    """A site of so many engines, which can be ended and started again at their addresses."""

    def __init__(
        self,
        name: str,
        replicas: int,
        arguments: Mapping[str, object],
        folder: Path,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """`env` is for every engine, beside this process's own."""
        self.name = name
        self._engines = [
            _Engine(arguments, folder / f"{name}{i}", env or {}) for i in range(replicas)
        ]

    @property
    def program(self) -> Sequence[str]:
        """The module that is run for each engine, and what stands before its arguments."""
        return self._engines[0].program

    @program.setter
    def program(self, program: Sequence[str]) -> None:
        for engine in self._engines:
            engine.program = program

    @property
    def dashboard(self) -> str:
        """There is none."""
        return ""

    def wait_until_serving(self) -> None:
        """Wait for every engine."""
        for engine in self._engines:
            engine.wait_until_serving()

    def addresses(self) -> list[str]:
        """Where its engines serve."""
        return [engine.address for engine in self._engines]

    def engine_pids(self) -> list[int]:
        """The process of each engine that runs."""
        return [engine.pid for engine in self._engines if engine.kept.running]

    def all_pids(self) -> list[int]:
        """Every process of the site."""
        return [pid for engine in self._engines for pid, _ in descendants(engine.kept.pid)]

    @property
    def restarts(self) -> int:
        """How often engines were started again."""
        return sum(engine.launches - 1 for engine in self._engines)

    def replace(self) -> None:
        """Replace one replica in the orderly way."""
        self._engines[0].restart()
        self._engines[0].wait_until_serving()

    def mend(self) -> None:
        """Start again what has ended or is dead, and wait until all serve."""
        for engine in self._engines:
            if not engine.serves():
                engine.restart()
        self.wait_until_serving()

    def stop(self) -> None:
        """End everything."""
        for engine in self._engines:
            engine.kept.stop()
