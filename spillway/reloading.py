"""Reads a router's fleet file again, for a router of one process."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from router.live.reloading import Change, Reading, Reloaded, ReloadError
from spillway.fleet import FleetError, FleetFile, load
from spillway.fleet.changes import changes, refuse_what_needs_a_start

if TYPE_CHECKING:  # a supervisor has no use for gRPC
    from router.live.fleet_change import Ready


class Changed(Protocol):
    """A router, or another process, that goes by a fleet file."""

    def prepare(self, reading: Reading, /) -> "Ready":
        """Does what can fail. Raises ReloadError."""
        ...

    def apply(self, ready: "Ready", /) -> None:
        """Goes by it."""
        ...


def read_again(path: Path | None, before: FleetFile) -> tuple[FleetFile, tuple[Change, ...]]:
    """The file as it is now, and what it says differently. Raises ReloadError.

    What is wrong with it is said as `spillway fleet check` says it.
    """
    if path is None:
        raise ReloadError("this router was not started from a fleet file")
    try:
        file = load(path)
    except FleetError as error:
        raise ReloadError(str(error)) from error
    found = changes(before, file)
    refuse_what_needs_a_start(found)
    return file, found


def reading_of(file: FleetFile) -> Reading:
    """What a file says to a process."""
    return Reading(file.fleet, file.access, file.router, file.digest)


class FileReloads:
    """Reloads of one router. See `router.live.reloading.Reloads`."""

    def __init__(self, file: FleetFile) -> None:
        # The folder may be left later on, and a name of it mean another file.
        self._path = None if file.path is None else file.path.absolute()
        self._file = file
        self._lock = asyncio.Lock()
        self.router: Changed | None = None

    async def reload(self, *, dry_run: bool) -> Reloaded:
        """See Reloads. One at a time."""
        async with self._lock:
            file, found = await asyncio.to_thread(read_again, self._path, self._file)
            if self.router is None:
                raise ReloadError("the router has not begun")
            ready = self.router.prepare(reading_of(file))
            if not dry_run:
                self.router.apply(ready)
                self._file = file
            return Reloaded(found, file.digest, applied=not dry_run)
