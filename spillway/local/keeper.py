"""Keeps one command: runs it, and leaves nothing of it behind. Standard library only.

`python -m spillway.local.keeper` reads one line of JSON from standard input, the `Order`, makes its
folder, and runs the command. It ends when the command ends, when it gets SIGTERM, SIGINT or SIGHUP,
when its standard input closes, or when the process that gave the order dies, by whatever signal. In
each case it ends every process that descends from the command and removes the folder.

It prints `ready` once the command runs, and at the end the last of the command's output.
"""

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from spillway.local.descendants import POLL_INTERVAL_S, become_subreaper, end_all, reap

READY = "ready"
OUTPUT_NAME = "output.log"
OUTPUT_TAIL_BYTES = 16 * 1024  # fits the pipe whether or not it is read
END_DEADLINE_S = 20.0  # for SIGKILL to work on a process in the kernel's hands


@dataclass(frozen=True)
class Order:
    """What a keeper is asked to run."""

    command: list[str]
    env: dict[str, str]
    folder: str  # made by the keeper, removed by it, and its parent with it if then empty
    client_pid: int  # the keeper ends with this process
    files: dict[str, str] = field(default_factory=dict)  # text by name, written into the folder
    grace_s: float = 0.0  # between SIGTERM to the command and SIGKILL to all

    def to_line(self) -> bytes:
        """As the keeper reads it."""
        return json.dumps(asdict(self)).encode() + b"\n"


def main() -> int:
    """Keep the ordered command; its exit code, or 0 when it was ended on purpose."""
    wakeup = _wake_on_signals()
    become_subreaper()
    line = sys.stdin.buffer.readline()
    if not line:
        return 0
    order = Order(**json.loads(line))
    folder = Path(order.folder)
    try:
        folder.mkdir(parents=True, mode=0o700)
    except OSError as error:  # a folder that was there already is not ours to remove
        return _cannot(error, folder)
    try:
        for name, text in order.files.items():
            (folder / name).write_text(text)
        with (folder / OUTPUT_NAME).open("wb") as output:
            child = subprocess.Popen(  # noqa: S603  (what its client orders, as its client)
                order.command,
                env=order.env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
            )
        sys.stdout.write(f"{READY}\n")
        sys.stdout.flush()
        returncode = _wait_for_an_end(child.pid, order.client_pid, wakeup)
        if returncode is None and order.grace_s > 0:
            _ask_to_end(child.pid, order.grace_s)
        return 0 if returncode is None else abs(returncode)
    except OSError as error:  # no such command, or a disk that is full
        return _cannot(error, folder)
    finally:
        end_all(END_DEADLINE_S)
        _print_tail(folder / OUTPUT_NAME)
        remove(folder)


def _cannot(error: OSError, folder: Path) -> int:
    """Say why the command cannot be run, on one line; the exit code."""
    sys.stdout.write(f"{error.filename or folder}: {error.strerror}\n")
    sys.stdout.flush()
    return 1


def _wake_on_signals() -> int:
    """A descriptor that becomes readable at each signal; none of them ends this process."""
    readable, writable = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    return readable


def _wait_for_an_end(pid: int, client_pid: int, wakeup: int) -> int | None:
    """Wait until the command ends by itself (its exit code) or somebody wants it ended (None)."""
    poll = select.poll()
    poll.register(sys.stdin.fileno(), select.POLLIN)
    poll.register(wakeup, select.POLLIN)
    with contextlib.suppress(OSError):  # it died already, and standard input says so
        poll.register(os.pidfd_open(client_pid), select.POLLIN)
    while True:
        ready = {descriptor for descriptor, _ in poll.poll()}
        ended = reap()
        if pid in ended:
            return ended[pid]
        if ready != {wakeup} or set(os.read(wakeup, 4096)) != {signal.SIGCHLD}:
            return None


def _ask_to_end(pid: int, grace_s: float) -> None:
    """SIGTERM to the command, and time for it to end by itself."""
    os.kill(pid, signal.SIGTERM)  # ours and not yet collected, so the number is still its own
    deadline = time.monotonic() + grace_s
    while pid not in reap() and time.monotonic() < deadline:
        time.sleep(POLL_INTERVAL_S)


def remove(folder: Path) -> None:
    """Remove a keeper's folder, and its parent with it if that is then empty."""
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):  # another keeper's folder is still in it
        folder.parent.rmdir()


def _print_tail(output: Path) -> None:
    """The end of the command's output, for whoever still listens."""
    with contextlib.suppress(OSError):
        content = output.read_bytes()[-OUTPUT_TAIL_BYTES:]
        sys.stdout.buffer.write(content)
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
