"""Runs a command and shows what it is doing while it runs."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TextIO

from bootstrap.failure import SetupError, explain

PR_SET_PDEATHSIG = 1  # linux/prctl.h
OUTPUT_LINES_MAX = 2_000  # kept to explain a failure
OUTPUT_LINES_SHOWN = 15
WORTH_A_LINE = ("Collecting", "Downloading", "Processing", "Building", "Resolved", "Installed")


class Progress:
    """One line for each step: rewritten in place on a terminal, printed as it grows elsewhere."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._width = os.get_terminal_size(self._stream.fileno()).columns if self._live else 0

    def say(self, line: str) -> None:
        """A line that stays."""
        self._write(f"{line}\n")

    def start(self, step: str) -> None:
        """A step begins."""
        self._write(step if self._live else f"{step}\n")

    def detail(self, step: str, line: str, elapsed_s: float) -> None:
        """What the step is doing; the next line takes its place on a terminal."""
        if self._live:
            self._write(f"{step} ({elapsed_s:.0f} s): {line}"[: self._width - 1])
        elif line.startswith(WORTH_A_LINE):
            self._write(f"    {line}\n")

    def _write(self, text: str) -> None:
        self._stream.write(("\r\x1b[K" if self._live else "") + text)
        self._stream.flush()


def run(step: str, command: Sequence[str], env: Mapping[str, str], progress: Progress) -> None:
    """Run one step's command, showing its output line by line.

    Raises:
        SetupError: it failed; the message says what to do.
    """
    started_s = time.monotonic()
    progress.start(step)
    lines: list[str] = []
    with _started(command, env) as process:
        for raw in process.stdout or ():
            line = raw.strip()
            if line:
                lines.append(line)
                del lines[:-OUTPUT_LINES_MAX]
                progress.detail(step, line, time.monotonic() - started_s)
        returncode = process.wait()
    if returncode != 0:
        for line in lines[-OUTPUT_LINES_SHOWN:]:
            progress.say(f"    {line}")
        raise SetupError(explain("\n".join(lines), returncode))
    progress.say(f"{step}: done in {time.monotonic() - started_s:.0f} s")


@contextlib.contextmanager
def _started(command: Sequence[str], env: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """The running command, ended when the block is left early."""
    with subprocess.Popen(
        list(command),
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        preexec_fn=_die_with_parent,  # noqa: PLW1509  (this process has one thread)
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def _die_with_parent() -> None:
    """Runs in the child before exec: the kernel ends it when this process is killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
