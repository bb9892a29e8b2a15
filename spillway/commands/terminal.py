"""What commands print: plain text where it is piped, tables and colour on a terminal."""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Any, NoReturn

import typer
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, JustifyMethod, RenderResult
from rich.table import Table
from rich.text import Text

from spillway.commands.failure import Failure, Outcome
from spillway.commands.folds import folds
from spillway.commands.shown import as_json_text, line_of, lines_of

_TELLING = ("state", "meets", "where")  # columns
_TONES = {
    "green": ("up", "ok", "yes", "home"),
    "yellow": ("draining", "suspect", "high", "overflow"),
    "red": ("down", "unreachable", "spent", "no"),
}

_COLUMN_GAP = 2  # cells of the screen between two columns of a table


class _Terminal(Console):
    """A console whose reader may go away, as `| head` does."""

    def on_broken_pipe(self) -> None:
        _reader_left()


def terminal() -> Console:
    """Standard output, for what is worth colour."""
    return _Terminal(highlight=False, soft_wrap=True)


def is_terminal() -> bool:
    """Whether a person reads standard output."""
    return sys.stdout is not None and sys.stdout.isatty()


def write(text: str, end: str = "\n") -> None:
    """Text to standard output, at once, in which a terminal finds nothing to obey.

    Raises Failure where standard output is closed or full.
    """
    _write(lines_of(text), end)


def write_answer(text: str) -> None:
    """Part of what a model said: into a pipe as it is, to a terminal as `write` does."""
    _write(lines_of(text) if is_terminal() else text, end="")


def _write(text: str, end: str = "\n") -> None:
    if sys.stdout is None:  # closed by whoever started this, as with `>&-`
        raise Failure("standard output is closed")
    try:
        sys.stdout.write(text + end)
        sys.stdout.flush()
    except BrokenPipeError:
        _reader_left()
    except OSError as error:
        _discard_output()
        raise Failure(f"standard output cannot be written: {error.strerror}") from error


def write_json(value: Any) -> None:
    """One JSON document on one line."""
    _write(as_json_text(json.dumps(value, ensure_ascii=False)))


def say(text: str) -> None:
    """What a person may want to know and a script does not: a line on standard error."""
    _write_error(f"{lines_of(text)}\n", sys.stderr)


def warn(text: str) -> None:
    """Why a command failed: a line on standard error."""
    _write_error(f"spillway: {line_of(' '.join(text.split()))}\n", sys.stderr)


def seconds(value: float) -> str:
    """A time as people read it; nothing known is a dash."""
    if value <= 0:
        return "-"
    return f"{value * 1000:.1f} ms" if value < 1 else f"{value:.2f} s"


@dataclass(frozen=True)
class FoldedTable:
    """A table for a terminal: what is too wide for it goes on below, and nothing is cut off."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        """How rich draws it, in the width that there is."""
        lines = (self.columns, *self.rows)
        widths = [max(map(cell_len, cells)) for cells in zip(*lines, strict=True)]
        for number, places in enumerate(folds(widths, options.max_width, gap=_COLUMN_GAP)):
            if number:
                yield ""
            yield self._part(places)

    def _part(self, places: Sequence[int]) -> Table:
        found = Table(box=None, pad_edge=False, padding=(0, _COLUMN_GAP // 2))
        for place in places:
            numeric = bool(self.rows) and all(_is_number(row[place]) for row in self.rows)
            justify: JustifyMethod = "right" if numeric else "left"
            found.add_column(self.columns[place], justify=justify, header_style="bold")
        for row in self.rows:  # a Text has no markup
            found.add_row(*(Text(row[at], style=_tone(self.columns[at], row[at])) for at in places))
        return found


def _tone(column: str, cell: str) -> str:
    """A colour for what says how something is; it is never said by colour alone."""
    if column not in _TELLING:
        return ""
    word = cell.split(",", 1)[0]
    return next((tone for tone, words in _TONES.items() if word in words), "")


def _is_number(cell: str) -> bool:
    """Whether a cell is a number, perhaps with a unit, or says that there is none."""
    try:
        float(cell.split(" ", 1)[0].rstrip("%"))
    except ValueError:
        return cell == "-"
    return True


def write_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table; where it is piped, one line a row with tabs between, as `cut` and `awk` like it."""
    shown = [tuple(map(line_of, row)) for row in rows]
    if is_terminal():
        terminal().print(FoldedTable(columns, shown))
    else:
        for row in (columns, *shown):
            write("\t".join(row))


def _write_error(text: str, stream: IO[str] | None) -> None:
    if stream is None:  # closed, and so is the only place to say it
        return
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        _reader_left()


def _reader_left() -> NoReturn:
    """End as a command does whose output nobody reads."""
    _discard_output()
    raise typer.Exit(Outcome.BROKEN_PIPE)


def _discard_output() -> None:
    """What is still buffered goes nowhere, without the interpreter's own complaint at the end."""
    if sys.stdout is None:
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
