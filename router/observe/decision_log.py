"""The decision log: events as JSON lines, in files of bounded size and number.

A thread writes, so that neither a slow disk nor the making of lines delays a decision; what it
cannot write in time is dropped and counted, and the gap shows in the sequence of the events.
"""

import contextlib
import logging
import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from router.observe.event import AskedAgain, Event, LoadHeard, RequestArrived, Started
from router.observe.lines import LineError, from_line, to_line

PENDING_MAX: Final = 16_384
"""Events that wait for the disk: a few seconds of a busy router, some tens of MB."""

PENDING_BLOCKS_MAX: Final = 1 << 20
"""Prefix blocks of the requests and reports among them, some 40 MB: a prompt may have thousands."""

CLOSE_S: Final = 5.0
"""What a stalled disk may hold up the end of a router."""

_BATCH_MAX: Final = 512

_log = logging.getLogger(__name__)


class DecisionLog:
    """Writes events to `path`; older files are `path.1`, `path.2` and so on, the oldest last.

    Each start of a router begins a new file. `bytes_max` bounds a file, `files_max` their number.
    """

    def __init__(self, path: Path, bytes_max: int, files_max: int) -> None:
        self._path = path
        self._bytes_max = bytes_max
        self._files_max = files_max
        self._pending: queue.Queue[Event | None] = queue.Queue(PENDING_MAX)
        self._thread = threading.Thread(target=self._write, name="decision-log", daemon=True)
        self._blocks_put = 0  # by the router's thread
        self._blocks_taken = 0  # by the writer
        self._dropped = 0
        self._error: Exception | None = None

    @property
    def dropped(self) -> int:
        """Events that were not written."""
        return self._dropped

    @property
    def error(self) -> Exception | None:
        """Why the last events could not be written, if they could not."""
        return self._error

    def start(self) -> None:
        """Begins a new file. Raises OSError where that is not possible."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._rotate()
        self._path.touch()
        self._thread.start()

    def close(self) -> None:
        """Writes what is pending, for at most `CLOSE_S`. Does nothing before `start`."""
        if self._thread.is_alive():
            with contextlib.suppress(queue.Full):
                self._pending.put(None, timeout=CLOSE_S)
            self._thread.join(timeout=CLOSE_S)

    def on_event(self, event: Event) -> None:
        """See Sink."""
        blocks = _blocks(event)
        if self._blocks_put - self._blocks_taken + blocks > PENDING_BLOCKS_MAX:
            self._dropped += 1
            return
        try:
            self._pending.put_nowait(event)
            self._blocks_put += blocks
        except queue.Full:
            self._dropped += 1

    def _write(self) -> None:
        batch: list[Event] = []
        while self._gather(batch):
            try:
                self._write_lines([to_line(event) for event in batch])
            except Exception as error:  # noqa: BLE001 - one bad event or a full disk ends no log
                if self._error is None:
                    _log.exception("The decision log cannot write to %s", self._path)
                self._error = error
                self._dropped += len(batch)
            self._blocks_taken += sum(map(_blocks, batch))
            batch.clear()

    def _gather(self, batch: list[Event]) -> bool:
        """Waits for events and takes what there is; False after the last one."""
        event = self._pending.get()
        while event is not None:
            batch.append(event)
            if len(batch) == _BATCH_MAX or self._pending.empty():
                return True
            event = self._pending.get()
        if batch:  # the end comes again
            self._pending.put(None)
        return bool(batch)

    def _write_lines(self, lines: list[bytes]) -> None:
        file = self._path.open("ab")
        try:
            for line in lines:
                if file.tell() and file.tell() + len(line) > self._bytes_max:
                    file.close()
                    self._rotate()
                    file = self._path.open("ab")
                file.write(line)
        finally:
            file.close()
        self._error = None

    def _rotate(self) -> None:
        if not self._path.exists() or not self._path.stat().st_size:
            return
        for number in range(self._files_max - 1, 0, -1):
            newer = self._path if number == 1 else _numbered(self._path, number - 1)
            if newer.exists():
                newer.replace(_numbered(self._path, number))
        if self._files_max == 1:
            self._path.unlink()


def log_at(path: Path | None, bytes_max: int, files_max: int) -> DecisionLog | None:
    """A log at this path; None where there is none."""
    return None if path is None else DecisionLog(path, bytes_max, files_max)


def read_log(path: Path) -> Iterator[Event]:
    """The events since the router's last start, oldest first.

    Where that start is rotated away already, the oldest that is left comes first. A line cut short
    by a kill is left out if it is the last one. Raises LineError for any other line that is none,
    and OSError.
    """
    files = [path]
    while _numbered(path, len(files)).exists():
        files.append(_numbered(path, len(files)))
    begin = next((i for i, file in enumerate(files) if _begins_with_start(file)), len(files) - 1)
    for file in reversed(files[: begin + 1]):
        with file.open("rb") as lines:
            for line in lines:
                if line.endswith(b"\n"):
                    yield from_line(line)


def _blocks(event: Event) -> int:
    happening = event.happening
    if isinstance(happening, RequestArrived):
        return len(happening.request.prefix)
    if isinstance(happening, AskedAgain):
        return len(happening.again.request.prefix)
    if isinstance(happening, LoadHeard):
        return len(happening.report.prefix_added) + len(happening.report.prefix_removed)
    return 0


def _begins_with_start(file: Path) -> bool:
    with file.open("rb") as lines:
        try:
            return isinstance(from_line(lines.readline()).happening, Started)
        except LineError:
            return False


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")
