"""Where log lines go: to standard error, by a thread, so that a slow reader delays nobody.

What the queue cannot hold is dropped and counted, and the next line that is written says so.
"""

import contextlib
import logging
import queue
import sys
import threading
from collections.abc import Iterator
from typing import Final, TextIO

from wire.logs.lines import FIELDS, Lines, LogFormat, Words

REQUESTS: Final = "spillway.request"
"""The logger of what has ended: a line for each request, and for each answer of a replica."""

PENDING_MAX: Final = 10_000
"""Lines that wait: seconds of a busy router, 10 MB."""

CLOSE_S: Final = 2.0
"""What a reader that is slow may hold up the end of a process."""


class Writing(logging.Handler):
    """Writes records as lines, from a thread of its own, until it is closed."""

    def __init__(self, form: LogFormat, to: TextIO, pending_max: int = PENDING_MAX) -> None:
        super().__init__()
        self.dropped = 0
        self._lines = Lines(form)
        self._to = to
        self._pending: queue.Queue[logging.LogRecord | None] = queue.Queue(pending_max)
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """See logging.Handler: from any thread, and at once."""
        try:
            record.msg, record.args = record.getMessage(), None  # what it is of may change
        except Exception:  # noqa: BLE001 - a library's mistake, and no reason for its caller to fail
            self.handleError(record)
            return
        try:
            self._pending.put_nowait(record)
        except queue.Full:
            self.dropped += 1

    def close(self) -> None:
        """Writes what waits: for CLOSE_S until the queue takes its end, and so long again."""
        with contextlib.suppress(queue.Full):
            self._pending.put(None, timeout=CLOSE_S)
        self._thread.join(CLOSE_S)
        super().close()

    def _run(self) -> None:
        told = 0
        while (record := self._pending.get()) is not None:
            if self.dropped > told:
                lost, told = self.dropped - told, self.dropped
                self._write(_lost(lost))
            self._write(record)

    def _write(self, record: logging.LogRecord) -> None:
        try:
            line = self._lines.format(record)
        except Exception:  # noqa: BLE001 - such as fields of another make: the lines after it come
            self.handleError(record)
            return
        # Standard error may be closed, and there is nowhere else to say that.
        with contextlib.suppress(OSError, ValueError):
            self._to.write(line + "\n")
            if self._pending.empty():
                self._to.flush()


@contextlib.contextmanager
def log_lines(form: LogFormat | None) -> Iterator[None]:
    """Has this process's log come as lines of this form, with those of requests.

    None: as it is, warnings and errors alone, each on a line.
    """
    if sys.stderr is None:
        yield
        return
    if form is None:
        with _in_words():
            yield
        return
    writing, root, requests = Writing(form, sys.stderr), logging.getLogger(), requests_log()
    root.addHandler(writing)
    level = requests.level
    requests.setLevel(logging.INFO)
    try:
        yield
    finally:
        requests.setLevel(level)
        root.removeHandler(writing)
        writing.close()


@contextlib.contextmanager
def _in_words() -> Iterator[None]:
    """What is logged where nothing was set up comes on lines, too."""
    last = logging.lastResort
    before = last.formatter if last is not None else None
    if last is not None:
        last.setFormatter(Words())
    try:
        yield
    finally:
        if last is not None:
            last.setFormatter(before)


def requests_log() -> logging.Logger:
    """The logger of requests. It is silent until somebody sets its level to INFO."""
    return logging.getLogger(REQUESTS)


def _lost(count: int) -> logging.LogRecord:
    text = "lines were dropped: nobody reads them quickly enough"
    record = logging.LogRecord("spillway", logging.WARNING, "", 0, text, None, None)
    record.__dict__[FIELDS] = {"lines": count}
    return record
