"""A program of somebody else's that is measured beside ours: found, started and ended."""

import asyncio
import contextlib
import shutil
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_STOP_S: Final = 5.0


class MissingError(Exception):
    """A rival is not installed, or does not come up; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program that runs, and the file with what it says."""

    process: asyncio.subprocess.Process
    output: Path

    @property
    def last_line(self) -> str:
        """The last that it said."""
        said = self.output.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return said[-1][:200] if said else "it says nothing"


def find(program: str, programs: Path | None) -> str | None:
    """The path of a program: in the folder `programs`, or anywhere else on the system's path."""
    found = shutil.which(program, path=str(programs)) if programs else None
    return found or shutil.which(program)


@contextlib.asynccontextmanager
async def started(
    command: Sequence[str], folder: Path, env: Mapping[str, str] | None = None
) -> AsyncIterator[Program]:
    """A program started in a folder, where its output goes, too; ended on the way out.

    Without `env` it has this process's environment.
    """
    path = folder / "output"
    with path.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command, stdout=output, stderr=asyncio.subprocess.STDOUT, cwd=folder, env=env
        )
    try:
        yield Program(process, path)
    finally:
        await _stop(process)


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(_STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
