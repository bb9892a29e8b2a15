"""Finds and ends every process that descends from this one. Standard library only.

The caller is a child subreaper: an orphan among its descendants becomes its own child, so a walk
down from it finds them all however often they forked, and no child left means no descendant left.
A group or a session would miss what put itself into another one, as Ray's and vLLM's workers do.

Where the caller was killed itself, its descendants are somebody else's children. They are known by
a mark in the environment that they inherited.
"""

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
POLL_INTERVAL_S = 0.02
TRACKER = b"multiprocessing.resource_tracker"
TRACKER_GRACE_S = 10.0  # 0.1 s on an idle machine, over 2 s where engines load beside it


def become_subreaper() -> None:
    """Make this process the parent of every orphan among its descendants."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def reap() -> dict[int, int]:
    """Collect the children that have ended: exit code (negative for a signal) by process id."""
    ended = {}
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            ended[pid] = os.waitstatus_to_exitcode(status)
    return ended


def end_all(deadline_s: float) -> bool:
    """SIGKILL every descendant until none is left; False if some outlive `deadline_s` seconds.

    Python's resource trackers get a moment more: they end by themselves once those they track for
    are gone, and remove the semaphores and the shared memory that these left in /dev/shm.
    """
    begun = time.monotonic()
    while has_children():
        waited_s = time.monotonic() - begun
        if waited_s > deadline_s:
            return False
        _kill_all(descendants(os.getpid()), waited_s)
        time.sleep(POLL_INTERVAL_S)
    return True


def end_marked(mark: str, deadline_s: float) -> bool:
    """SIGKILL every process with `mark`, NAME=VALUE, in the environment that it was started with.

    False if some outlive `deadline_s` seconds. Trackers get their moment, as in `end_all`.
    """
    begun = time.monotonic()
    while found := _marked(mark.encode()):
        waited_s = time.monotonic() - begun
        if waited_s > deadline_s:
            return False
        _kill_all(found, waited_s)
        time.sleep(POLL_INTERVAL_S)
    return True


def has_children() -> bool:
    """Whether any child is left, after collecting those that have ended."""
    reap()
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def descendants(root: int) -> list[tuple[int, int]]:
    """(process id, its parent's) of each live descendant of `root`, parents before children."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (parent := _parent(int(entry.name))) is not None:
            children.setdefault(parent, []).append(int(entry.name))
    found: list[tuple[int, int]] = []
    frontier = [root]
    while frontier:
        parent = frontier.pop()
        found += [(pid, parent) for pid in children.get(parent, ())]
        frontier += children.get(parent, ())
    return found


def _marked(mark: bytes) -> list[tuple[int, int]]:
    """(process id, its parent's) of each live process with this in its environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):  # it ended meanwhile, or is another user's
            marked = mark in (entry / "environ").read_bytes().split(b"\0")
            if marked and (parent := _parent(int(entry.name))) is not None:
                found.append((int(entry.name), parent))
    return found


def _kill_all(found: Sequence[tuple[int, int]], waited_s: float) -> None:
    """SIGKILL these (process id, its parent's); trackers only after they had their moment."""
    for pid, parent in found:
        if waited_s > TRACKER_GRACE_S or not _is_tracker(pid):
            _kill(pid, parent)


def _is_tracker(pid: int) -> bool:
    try:
        return TRACKER in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # it ended meanwhile
        return False


def _parent(pid: int) -> int | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:  # it ended meanwhile
        return None
    return int(stat.rpartition(")")[2].split()[1])  # the name, in parentheses, may hold anything


def _kill(pid: int, parent: int) -> None:
    """SIGKILL `pid` unless its number went to another process since `parent` was read."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if _parent(pid) in {parent, os.getpid()}:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
    finally:
        os.close(handle)
