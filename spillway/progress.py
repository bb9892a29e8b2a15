"""How far something is that takes longer than two seconds, for whoever waits for it.

On a terminal it is a line that is rewritten in place and gone at the end. Elsewhere it is nothing,
unless SPILLWAY_PROGRESS_EVERY says after how many seconds a line is due: the log of a job.
"""

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import IO, TYPE_CHECKING, Final, Self, TypeVar

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

T = TypeVar("T")

EVERY_ENV: Final = "SPILLWAY_PROGRESS_EVERY"
EVERY_S_MIN: Final = 1.0
"""Lines that come oftener are no log that anybody reads."""

REFRESHES_PER_S: Final = 4
"""Of the line on a terminal; what is measured beside it pays for each."""


class Progress:
    """One thing that takes its time, from the start to the end of a `with` block."""

    def __init__(
        self,
        what: str,
        total: int | None = None,
        *,
        stream: IO[str] | None = None,
        environ: Mapping[str, str] = os.environ,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`what` names it; `total` is how many of it there are, where that is known."""
        self._what = what
        self._total = total
        self._stream = stream if stream is not None else sys.stderr
        self._clock_s = clock_s
        self._every_s = every_s(environ)
        self._began_s = self._told_s = clock_s()
        self._done = 0
        self._bar: Bar | None = None

    def __enter__(self) -> Self:
        self._began_s = self._told_s = self._clock_s()
        if self._stream is not None and self._stream.isatty():
            self._bar = _bar(self._stream, self._total)
            self._bar.add_task(self._what, total=self._total, counted="", said="")
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def advance(self, by: int = 1, said: str = "") -> None:
        """So many more are done; `said` is what there is to say of it, in a few words."""
        self.at(self._done + by, said)

    def at(self, done: int, said: str = "") -> None:
        """So many are done in all."""
        self._done = done
        if self._bar is not None:
            task = self._bar.task_ids[0]
            self._bar.update(task, completed=done, counted=self._counted, said=said)
        elif self._is_line_due:
            self._told_s = self._clock_s()
            self._write_line(said)

    @property
    def is_due(self) -> bool:
        """Whether a line would be shown, for those of whom it is work to say how far they are."""
        return self._bar is not None or self._is_line_due

    @property
    def _is_line_due(self) -> bool:
        return self._every_s is not None and self._clock_s() - self._told_s >= self._every_s

    def each(self, items: Iterable[T]) -> Iterator[T]:
        """The same items; one is done when the next is asked for."""
        for item in items:
            yield item
            self.advance()

    @property
    def _counted(self) -> str:
        return f"{self._done:,}" + (f" of {self._total:,}" if self._total is not None else "")

    def _write_line(self, said: str) -> None:
        elapsed_s = self._clock_s() - self._began_s
        line = f"{elapsed_s:.0f} s: {self._what}: {self._counted}"
        try:
            self._stream.write(f"{line}, {said}\n" if said else f"{line}\n")
            self._stream.flush()
        except (OSError, ValueError):  # nobody reads it, which is no reason to end what is done
            self._every_s = None


def every_s(environ: Mapping[str, str]) -> float | None:
    """The seconds between two lines of a log; None where no lines are asked for."""
    try:
        asked_s = float(environ.get(EVERY_ENV, ""))
    except ValueError:
        return None
    return max(EVERY_S_MIN, asked_s) if asked_s > 0 else None


def _bar(stream: IO[str], total: int | None) -> "Bar":
    from rich.console import Console  # noqa: PLC0415 - slow to import, and only for a terminal
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bar  # noqa: PLC0415

    columns = (
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[counted]}", markup=False),
        *((TimeRemainingColumn(),) if total is not None else ()),
        TextColumn("{task.fields[said]}", markup=False),
    )
    return Bar(
        *columns,
        console=Console(file=stream),
        transient=True,
        refresh_per_second=REFRESHES_PER_S,
    )
