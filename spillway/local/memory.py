"""Whether this machine has the memory that a local fleet takes."""

from pathlib import Path

from spillway.local.errors import LocalError

GIB = 1024**3


class TooLittleMemoryError(LocalError):
    """The message says how much is needed, how much is there and what to do."""


def require_memory(needed_bytes: int, available_bytes: int | None = None) -> None:
    """Raise TooLittleMemoryError unless so much is available."""
    if available_bytes is None:
        available_bytes = min(machine_available(), cgroup_available())
    if available_bytes < needed_bytes:
        raise TooLittleMemoryError(
            f"A local fleet needs {needed_bytes / GIB:.1f} GiB of memory and "
            f"{available_bytes / GIB:.1f} GiB are available: end other programs, or start fewer "
            "sites or replicas."
        )


def machine_available(meminfo: Path = Path("/proc/meminfo")) -> int:
    """What programs can have, with the caches that would be dropped for them."""
    for line in meminfo.read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return int(value.split()[0]) * 1024  # given in KiB
    raise OSError(f"{meminfo} has no MemAvailable")


def cgroup_available(group: Path = Path("/sys/fs/cgroup")) -> int:
    """What a container's limit (cgroup v2) leaves; caches it could drop count as used."""
    try:
        limit = (group / "memory.max").read_text().strip()
        used = int((group / "memory.current").read_text())
    except OSError:  # no such limit here
        limit, used = "max", 0
    return 2**63 if limit == "max" else int(limit) - used
