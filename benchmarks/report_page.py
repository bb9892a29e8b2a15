"""A result as one HTML file: its tables and pictures, how it was asked for, and on what machine.

The file is whole by itself: it asks nobody for anything, runs no script, is as readable in the dark
as in the light, on a phone and on paper.
"""

import argparse
import base64
import html
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.report import Table, environment, write_json, write_whole

_DARK: Final = "#15191f"
_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1b2430; --dim: #5a6675; --paper: #fff; --line: #d5dbe3;
  --band: #f3f6f9; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e9f0; --dim: #9aa7b6; --paper: #15191f;
  --line: #333c48; --band: #1d232b; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 3rem; max-width: 75rem; background: var(--paper);
  color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p, caption { color: var(--dim); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { caption-side: bottom; text-align: left; padding-top: .4rem; }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid var(--line);
  white-space: nowrap; }
th:first-child, td:first-child, .said td { text-align: left; }
.said td { white-space: normal; overflow-wrap: anywhere; }
thead th { border-bottom-width: 2px; }
tbody tr:nth-child(even) { background: var(--band); }
img { max-width: 100%; height: auto; }
code, pre { font: .9rem/1.4 ui-monospace, monospace; overflow-wrap: anywhere; }
pre { overflow-x: auto; }
"""
_ALLOWED: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


@dataclass(frozen=True, slots=True)
class Picture:
    """PNGs of the same for light and for dark, and what they show, for who does not see them."""

    title: str
    light: bytes
    dark: bytes | None = None


def picture(title: str, draw: Callable[[Path], None], *, dark: bool = True) -> Picture:
    """What `draw` writes with matplotlib, once for light and, if it can be seen there, for dark."""
    import matplotlib as mpl  # noqa: PLC0415 - slow to import, and asked for by few runs

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    faces = ("figure.facecolor", "axes.facecolor", "savefig.facecolor")
    styles: list[Any] = ["default"]
    if dark:
        styles.append(["dark_background", dict.fromkeys(faces, _DARK)])
    drawn = []
    with tempfile.TemporaryDirectory() as folder:
        for number, style in enumerate(styles):
            path = Path(folder) / f"{number}.png"
            with plt.style.context(style):
                draw(path)
            drawn.append(path.read_bytes())
    return Picture(title, *drawn)


def add_option(parser: argparse.ArgumentParser) -> None:
    """The option that asks for the page."""
    parser.add_argument("--html", type=Path, help="write the report as one HTML file here")


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of every command whose result is one file of figures: see `publish`."""
    parser.add_argument("--out", type=Path, help="write the figures as JSON here")
    add_option(parser)


def publish(
    asked: argparse.Namespace,
    title: str,
    figures: Mapping[str, Any],
    tables: Sequence[Table],
    notes: Sequence[str] = (),
    pictures: Sequence[Picture] = (),
) -> None:
    """Writes the figures where `--out` says, and the report where `--html` does."""
    if asked.out is not None:
        write_json(asked.out, figures)
    if asked.html is not None:
        write_page(asked.html, title, tables, vars(asked), pictures, notes)


def write_page(
    path: Path,
    title: str,
    tables: Sequence[Table],
    configuration: Mapping[str, Any],
    pictures: Sequence[Picture] = (),
    notes: Sequence[str] = (),
) -> None:
    """Writes the report, whole or not at all. `notes` are sentences below its title."""
    found = environment()
    parts = [f"<h1>{_text(title)}</h1>", f"<p>{_text(found['date'])}</p>"]
    parts += [f"<p>{_text(note)}</p>" for note in notes]
    parts += [_table(table) for table in tables]
    parts += [_image(one) for one in pictures]
    parts.append(_pairs("Configuration", {"command": found["command"], **configuration}))
    machine = {**found["machine"], "python": found["python"], **found["versions"]}
    parts.append(_pairs("Machine and versions", machine))
    body = "\n".join(parts)
    write_whole(
        path,
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_ALLOWED}">\n'
        f'<link rel="icon" href="data:,">\n<title>{_text(title)}</title>\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n",
    )


def _table(table: Table) -> str:
    head = "".join(f'<th scope="col">{_text(column)}</th>' for column in table.columns)
    rows = "".join(
        "<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>\n"
        for row in table.rows
    )
    note = f"<caption>{_text(table.note)}</caption>" if table.note else ""
    return (
        f'<h2>{_text(table.title)}</h2>\n<div class="wide" tabindex="0"><table>{note}'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody></table></div>"
    )


def _pairs(title: str, pairs: Mapping[str, Any]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{_text(name)}</th><td>{_text(value)}</td></tr>\n'
        for name, value in pairs.items()
        if value is not None
    )
    return (
        f'<h2>{_text(title)}</h2>\n<div class="wide" tabindex="0">'
        f'<table class="said"><tbody>\n{rows}</tbody></table></div>'
    )


def _image(one: Picture) -> str:
    dark = ""
    if one.dark is not None:
        media = "(prefers-color-scheme: dark)"
        dark = f'<source media="{media}" srcset="{_data(one.dark)}">'
    shown = f'<img src="{_data(one.light)}" alt="{_text(one.title)}">'
    return f"<h2>{_text(one.title)}</h2>\n<picture>{dark}{shown}</picture>"


def _data(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _text(value: object) -> str:
    return html.escape(str(value))
