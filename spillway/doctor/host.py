"""What this machine gives a router and engines: open files, shared memory, disk."""

import os
import resource
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from spillway.doctor.finding import Finding, ok, problem, warning

GIB = 1024**3
FILES_WANTED = 65_536  # a router's 20,000 streams, clients and endpoints, and Ray's own
FILES_LEAST = 4_096  # below that a router refuses connections within minutes of use
SHM_WANTED_BYTES = 2 * GIB  # Ray's object store and vLLM's ranks; a container's default is 64 MiB
SHM_LEAST_BYTES = 256 * 1024**2
DISK_WANTED_BYTES = 20 * GIB  # a model of eight billion weights, and logs
DISK_LEAST_BYTES = 2 * GIB


def open_files(limits: tuple[int, int] | None = None) -> Iterator[Finding]:
    """The limit on them, soft and hard."""
    soft, hard = limits or resource.getrlimit(resource.RLIMIT_NOFILE)
    most = "" if hard == soft else f" (up to {hard} without being root)"
    said = f"{soft} open files for a process{most}"
    do = f"ulimit -n {FILES_WANTED}, or LimitNOFILE={FILES_WANTED} in the systemd unit"
    if soft == resource.RLIM_INFINITY or soft >= FILES_WANTED:
        yield ok("open files", said)
    elif soft >= FILES_LEAST:
        yield warning("open files", f"{said}; a busy router holds more", do)
    else:
        yield problem("open files", said, do)


def shared_memory(folder: Path = Path("/dev/shm")) -> Iterator[Finding]:  # noqa: S108 - it is looked at
    """Ray keeps its objects there, and the ranks of an engine meet there."""
    if not folder.is_dir():
        yield problem("shared memory", f"there is no {folder}", "mount a tmpfs there")
        return
    size = shutil.disk_usage(folder).total
    said = f"{folder} has {_gib(size)}"
    do = "docker run --shm-size=8g, or an emptyDir of medium Memory there"
    if size >= SHM_WANTED_BYTES:
        yield ok("shared memory", said)
    elif size >= SHM_LEAST_BYTES:
        yield warning("shared memory", f"{said}: enough for one engine on one device", do)
    else:
        yield problem("shared memory", f"{said}: engines on several devices fail to start", do)


def disk() -> Iterator[Finding]:
    """Where logs, Ray's sessions and models go."""
    hub = os.environ.get("HF_HOME") or str(Path.home() / ".cache" / "huggingface")
    places = {"Ray's sessions": tempfile.gettempdir(), "models of a hub": hub, "this folder": "."}
    seen: set[int] = set()
    for use, place in places.items():
        folder = _nearest(Path(place))
        if (device := folder.stat().st_dev) in seen:
            continue
        seen.add(device)
        free = shutil.disk_usage(folder).free
        said = f"{_gib(free)} free at {folder} ({use})"
        if free >= DISK_WANTED_BYTES:
            yield ok("disk", said)
        elif free >= DISK_LEAST_BYTES:
            yield warning("disk", said, "free some: weights of a model take tens of gigabytes")
        else:
            yield problem("disk", said, "free some: Ray stops placing work on a full disk")


def _nearest(path: Path) -> Path:
    """The folder, or the one above it that exists."""
    path = path.absolute()
    return next(one for one in (path, *path.parents) if one.is_dir())


def _gib(size: int) -> str:
    return f"{size / GIB:.1f} GiB"
