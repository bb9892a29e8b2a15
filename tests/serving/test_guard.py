"""What a dead process leaves behind, a guard ends."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

from serving.guard import Guard
from tests.waiting import DEADLINE_S

PARENT = """
import subprocess, sys, time
from serving.guard import Guard
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
guard = Guard()
guard.watch(child.pid)
guard.remove(sys.argv[1])
print(child.pid, flush=True)
time.sleep(600)
"""


def sleeper():
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])


def test_closing_kills_the_watched_and_removes_folders(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    with sleeper() as child:
        with Guard() as guard:
            guard.watch(child.pid)
            guard.watch(child.pid)
            guard.remove(str(folder))
        assert child.wait(DEADLINE_S) == -signal.SIGKILL
    assert not folder.exists()


def test_those_that_ended_by_themselves_are_no_trouble():
    with Guard() as guard, subprocess.Popen([sys.executable, "-c", ""]) as child:
        guard.watch(child.pid)
        assert child.wait(DEADLINE_S) == 0


def test_the_killed_take_their_children_with_them(tmp_path):
    """SIGKILL leaves a process no time to clean up."""
    folder = tmp_path / "mine"
    folder.mkdir()
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
    )
    with parent:
        child = os.pidfd_open(int(parent.stdout.readline()))
        parent.kill()
        ended, _, _ = select.select([child], [], [], DEADLINE_S)
        os.close(child)
    assert ended, "the child outlives its parent"
