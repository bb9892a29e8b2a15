"""What commands print: plain text where it is piped, tables and colour on a terminal."""

import json
import os
import sys
from collections.abc import Sequence
from typing import IO, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from spillway.commands.failure import Failure, Outcome


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
    """Text to standard output, at once. Raises Failure where that is closed or full."""
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
    write(json.dumps(value, ensure_ascii=False))


def say(text: str) -> None:
    """What a person may want to know and a script does not: a line on standard error."""
    _write_error(f"{text}\n", sys.stderr)


def warn(text: str) -> None:
    """Why a command failed: a line on standard error."""
    _write_error(f"spillway: {' '.join(text.split())}\n", sys.stderr)


def seconds(value: float) -> str:
    """A time as people read it; nothing known is a dash."""
    if value <= 0:
        return "-"
    return f"{value * 1000:.1f} ms" if value < 1 else f"{value:.2f} s"


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> Table:
    """A table for a terminal."""
    found = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    for place, column in enumerate(columns):
        numeric = bool(rows) and all(_is_number(row[place]) for row in rows)
        found.add_column(column, justify="right" if numeric else "left", header_style="bold")
    for row in rows:
        found.add_row(*row)
    return found


def _is_number(cell: str) -> bool:
    """Whether a cell is a number, perhaps with a unit, or says that there is none."""
    try:
        float(cell.split(" ", 1)[0].rstrip("%"))
    except ValueError:
        return cell == "-"
    return True


def write_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table; where it is piped, one line a row with tabs between, as `cut` and `awk` like it."""
    if is_terminal():
        terminal().print(table(columns, rows))
    else:
        for row in (columns, *rows):
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
