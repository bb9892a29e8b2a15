"""Shows what each part of a local fleet is doing while it starts."""

import sys
import threading
import time
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.live import Live
from rich.table import Table


class Reporter(Protocol):
    """Hears what the parts do. Called from several threads."""

    def say(self, part: str, doing: str) -> None:
        """The part (a site, the router) is doing this now."""


class Silent:
    """For tests."""

    def say(self, part: str, doing: str) -> None:
        """Nothing."""


class Lines:
    """One line for each thing said, with the seconds since the start."""

    def __init__(self) -> None:
        self._started_s = time.monotonic()

    def say(self, part: str, doing: str) -> None:
        """Print it."""
        elapsed_s = time.monotonic() - self._started_s
        sys.stderr.write(f"{elapsed_s:6.1f} s  {part:8}  {doing}\n")
        sys.stderr.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to put away."""


class Rows:
    """A row for each part, rewritten in place on a terminal."""

    def __init__(self, console: Console) -> None:
        self._started_s = time.monotonic()
        self._lock = threading.Lock()
        self._rows: dict[str, tuple[str, float]] = {}
        self._live = Live(console=console, get_renderable=self._table, refresh_per_second=4)

    def say(self, part: str, doing: str) -> None:
        """Rewrite the part's row."""
        with self._lock:
            self._rows[part] = (doing, time.monotonic())

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 2))
        with self._lock:
            rows = dict(self._rows)
        for part, (doing, since_s) in rows.items():
            ready = doing.startswith("ready")
            until_s = since_s if ready else time.monotonic()
            style = "green" if ready else "yellow"
            table.add_row(part, f"[{style}]{doing}[/]", f"{until_s - self._started_s:.0f} s")
        return table


def reporter_for_terminal() -> Lines | Rows:
    """Rows where standard error is a terminal, lines elsewhere."""
    console = Console(stderr=True)
    return Rows(console) if console.is_terminal else Lines()
