"""Something that is looked at once, or again and again until Ctrl-C.

On a terminal it is drawn in place; where it is piped one look follows the other, as lines with tabs
between or, with `--json`, as one document on a line each.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from spillway.commands.shown import line_of
from spillway.commands.terminal import (
    FoldedTable,
    is_terminal,
    terminal,
    write,
    write_json,
    write_table,
)

if TYPE_CHECKING:
    from rich.console import Group

INTERVAL_S = 1.0

Watch = Annotated[bool, typer.Option("--watch", "-w", help="Look again and again, until Ctrl-C.")]
Interval = Annotated[
    float, typer.Option("--interval", "-i", min=0.1, max=60.0, help="Seconds between looks.")
]
Count = Annotated[int | None, typer.Option("--count", "-c", min=1, help="End after so many looks.")]

Look = TypeVar("Look")
Part = str | FoldedTable


def looks(
    look: Callable[[], Look], *, watch: bool, interval_s: float, count: int | None
) -> Iterator[Look]:
    """One look, or as many as are asked for, with this time between them."""
    made = 0
    while True:
        yield look()
        made += 1
        if not (watch or count) or made == count:
            return
        time.sleep(interval_s)


def show(
    found: Iterable[Look],
    parts: Callable[[Look], Sequence[Part]],
    *,
    title: Callable[[Look], str] | None = None,
    json: Callable[[Look], Any] | None = None,
    in_place: bool = False,
) -> None:
    """Draws what was found: its parts, and on a terminal its title.

    With `json` it is told as that instead. `in_place`: on a terminal a look takes the place of the
    one before.
    """
    if json is not None:
        for one in found:
            write_json(json(one))
    elif is_terminal() and in_place:
        _draw(found, parts, title)
    else:
        for one in found:
            for part in parts(one):
                _write(part)
            if title is not None and is_terminal():
                write(title(one))


def _write(part: Part) -> None:
    if isinstance(part, str):
        write(part)
    else:
        write_table(part.columns, part.rows)


def _draw(
    found: Iterable[Look],
    parts: Callable[[Look], Sequence[Part]],
    title: Callable[[Look], str] | None,
) -> None:
    from rich.live import Live

    with Live(console=terminal(), auto_refresh=False) as live:
        for one in found:
            head = [title(one), ""] if title is not None else []
            live.update(_picture([*head, *parts(one)]), refresh=True)


def _picture(parts: Sequence[Part]) -> "Group":
    from rich.console import Group
    from rich.text import Text

    return Group(*(Text(line_of(one)) if isinstance(one, str) else _safe(one) for one in parts))


def _safe(table: FoldedTable) -> FoldedTable:
    """In which a terminal finds nothing to obey."""
    return FoldedTable(table.columns, [tuple(map(line_of, row)) for row in table.rows])
