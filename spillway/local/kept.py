"""A command under a keeper, seen from the process that wants it run."""

import os
import select
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from spillway.local.descendants import end_marked
from spillway.local.errors import LocalError
from spillway.local.keeper import (
    END_DEADLINE_S,
    OUTPUT_NAME,
    OUTPUT_TAIL_BYTES,
    READY,
    Order,
    remove,
)

MARK = "SPILLWAY_KEPT"  # the folder of a kept command, in the environment of all its descendants
READY_DEADLINE_S = 30.0  # a keeper starts in 0.1 s; a machine can be very busy


class KeptError(LocalError):
    """A command could not be started; the message says why."""


class Kept:
    """One kept command. It ends with `stop()`, with this process, or by itself."""

    def __init__(
        self,
        command: Sequence[str],
        env: Mapping[str, str],
        folder: Path,
        *,
        files: Mapping[str, str] | None = None,
        grace_s: float = 0.0,
    ) -> None:
        """Start `command` in `folder`, which its keeper makes, fills with `files` and removes.

        Raises:
            KeptError: the command or its folder cannot be had.
        """
        self.folder = folder
        self._end_deadline_s = grace_s + 2 * END_DEADLINE_S
        self._tail: str | None = None
        self._ending = threading.Lock()
        order = Order(
            list(command),
            {**env, MARK: str(folder)},
            str(folder),
            os.getpid(),
            dict(files or {}),
            grace_s,
        )
        self._keeper = subprocess.Popen(
            [sys.executable, "-m", "spillway.local.keeper"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for us; the keeper hears of it from us
        )
        try:
            self._give(order)
        except BaseException:
            self.stop()
            raise

    @property
    def pid(self) -> int:
        """The keeper's process id."""
        return self._keeper.pid

    @property
    def running(self) -> bool:
        """Whether the command has not ended yet."""
        return self._keeper.poll() is None

    @property
    def output(self) -> str:
        """The last of what the command has printed."""
        if not self.running:
            return self._end()
        try:
            return (self.folder / OUTPUT_NAME).read_text(errors="replace")[-OUTPUT_TAIL_BYTES:]
        except OSError:
            return ""

    def wait(self, timeout_s: float) -> int | None:
        """The command's exit code once it has ended; None if it runs on after `timeout_s`."""
        try:
            return self._keeper.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def stop(self) -> None:
        """End the command and all that descends from it, and wait until they are gone."""
        if self._keeper.stdin is not None:
            self._keeper.stdin.close()
        if self.wait(self._end_deadline_s) is None:
            self._keeper.kill()
        self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _give(self, order: Order) -> None:
        stdin, stdout = self._keeper.stdin, self._keeper.stdout
        if stdin is None or stdout is None:
            raise KeptError("the keeper has no pipes")
        try:
            stdin.write(order.to_line())
            stdin.flush()
        except BrokenPipeError:
            raise KeptError(f"the keeper of {order.command[0]} ended: {self._end()}") from None
        readable, _, _ = select.select([stdout], [], [], READY_DEADLINE_S)
        told = stdout.readline().decode(errors="replace") if readable else ""
        if told.strip() != READY:
            self.stop()
            reason = (told + self._end()).strip()
            raise KeptError(f"{order.command[0]} could not be started: {reason}")

    def _end(self) -> str:
        """Collect an ended keeper: the last of the command's output."""
        with self._ending:
            if self._tail is None:
                if self._keeper.wait() < 0:  # killed, so that it could not clean up itself
                    end_marked(f"{MARK}={self.folder}", END_DEADLINE_S)
                    remove(self.folder)
                stdout = self._keeper.stdout
                self._tail = stdout.read().decode(errors="replace") if stdout else ""
                for pipe in (self._keeper.stdin, stdout):
                    if pipe:
                        pipe.close()
            return self._tail
