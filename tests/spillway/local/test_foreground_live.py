"""`spillway up --local` leaves nothing behind, whenever and however it is ended."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from spillway.client import SyncClient
from tests.waiting import wait_until

pytestmark = [pytest.mark.live, pytest.mark.slow]

START_DEADLINE_S = 300.0
END_DEADLINE_S = 60.0


@pytest.fixture
def scratch() -> Iterator[Path]:
    """The temporary folder of what is started; short, for the sockets in it."""
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as folder:
        yield Path(folder)


class Up:
    """A running `spillway up --local`, and the lines it has printed."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.lines: list[str] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "spillway", "up", "--local", "--fake"],
            env=os.environ | {"TMPDIR": str(scratch), "RAY_ADDRESS": "192.0.2.1:6379"},
            stderr=subprocess.PIPE,
            text=True,
        )

    def read_until(self, wanted: str) -> str:
        """Read its lines up to the first that has `wanted` in it."""
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.lines.append(line)
            if wanted in line:
                return line
        raise AssertionError("".join(self.lines))

    def processes(self) -> list[int]:
        """Whatever runs with its temporary folder."""
        entries = (entry for entry in Path("/proc").iterdir() if entry.name.isdigit())
        return [int(e.name) for e in entries if str(self.scratch) in _environment(e)]

    def end(self, number: signal.Signals) -> int:
        """Send the signal, and wait until it has ended."""
        self._process.send_signal(number)
        assert self._process.stderr is not None
        self.lines += self._process.stderr
        self._process.stderr.close()
        return self._process.wait(END_DEADLINE_S)


def _environment(entry: Path) -> str:
    try:
        return (entry / "environ").read_text(errors="replace")
    except OSError:
        return ""


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("starting Ray", signal.SIGINT),
        ("starting Serve", signal.SIGTERM),
        ("starting Serve", signal.SIGKILL),
        ("loading engines", signal.SIGINT),
    ],
)
def test_nothing_is_left_when_it_is_ended_while_it_starts(
    scratch: Path, moment: str, number: signal.Signals
):
    """SIGKILL too: what it started notices that it is gone."""
    up = Up(scratch)
    up.read_until(moment)
    up.end(number)
    wait_until(lambda: not up.processes(), END_DEADLINE_S)
    assert list(scratch.iterdir()) == []


def test_ctrl_c_ends_a_running_fleet(scratch: Path):
    """It says where the router is, serves, ignores the user's own cluster, and ends clean."""
    up = Up(scratch)
    address = up.read_until("Router:").split()[-1]
    with SyncClient(address) as client:
        assert client.generate("41", max_new_tokens=3).text == " 42"
    assert up.end(signal.SIGINT) == 0
    wait_until(lambda: not up.processes(), END_DEADLINE_S)
    assert list(scratch.iterdir()) == []
