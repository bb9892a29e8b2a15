"""Whose a process is, by its command line: Ray's, ours, a store's, a door's, or nobody's we know.

A word somewhere in a command line says nothing: an editor has files open, and `ray` is in many a
name. What counts is the program itself: the file that runs, the script or module that Python was
given, or the title that the process has given itself.
"""

import re
from collections.abc import Sequence
from enum import Enum
from pathlib import PurePosixPath
from typing import Final


class Program(Enum):
    """What runs."""

    GCS = "Ray's GCS"
    DASHBOARD = "Ray's dashboard"
    NODE = "a Ray node"
    WORKER = "a Ray worker or Serve replica"
    CLIENT_SERVER = "Ray's client server"
    RAY_OTHER = "a Ray process"
    STORE = "a store"
    ENGINE = "an engine"
    ROUTER = "a router"
    DOOR = "a door"

    @property
    def is_ray(self) -> bool:
        """Whether it is a part of a Ray cluster."""
        return self in _RAY


_RAY: Final = frozenset(
    {
        Program.GCS,
        Program.DASHBOARD,
        Program.NODE,
        Program.WORKER,
        Program.CLIENT_SERVER,
        Program.RAY_OTHER,
    }
)

_BINARIES: Final = {
    "gcs_server": Program.GCS,
    "raylet": Program.NODE,
    "redis-server": Program.STORE,
    "valkey-server": Program.STORE,
    "haproxy": Program.DOOR,
    "spillway": Program.ROUTER,
}

_TITLES: Final = (("ray::", Program.WORKER), ("ray-dashboard-", Program.DASHBOARD))

_MODULES: Final = (
    ("ray.util.client", Program.CLIENT_SERVER),
    ("ray.dashboard", Program.DASHBOARD),
    ("ray", Program.RAY_OTHER),
    ("serving.standalone", Program.ENGINE),
    ("spillway", Program.ROUTER),
)
"""The first that a module is, or is within."""

_PYTHON: Final = re.compile(r"python(\d(\.\d+)?)?")
_RAY_SCRIPT: Final = re.compile(r"(?:.*/)?(ray/(?:dashboard|_private|util|autoscaler)/.+)\.py")


def program_of(command: str) -> Program | None:
    """The program of a command line as a process shows it; None for any other."""
    words = command.split()
    if not words:
        return None
    for title, program in _TITLES:
        if words[0].startswith(title):
            return program
    name = PurePosixPath(words[0].rstrip(":")).name
    if _PYTHON.fullmatch(name):
        return _python(words[1:])
    return _BINARIES.get(name)


def _python(words: Sequence[str]) -> Program | None:
    """What Python was told to run."""
    for at, word in enumerate(words):
        if word == "-m":
            return _module(words[at + 1]) if at + 1 < len(words) else None
        if word == "-c":
            return None
        if not word.startswith("-"):
            script = _RAY_SCRIPT.fullmatch(word)
            if script is not None:
                return _module(script[1].replace("/", "."))
            return _BINARIES.get(PurePosixPath(word).name)
    return None


def _module(name: str) -> Program | None:
    for prefix, program in _MODULES:
        if name == prefix or name.startswith(f"{prefix}."):
            return program
    return None
