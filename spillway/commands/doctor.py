"""`spillway doctor`: what is wrong with this host and this fleet, and what mends it."""

from pathlib import Path
from typing import Annotated

import typer

from spillway.commands.parameters import Json
from spillway.commands.terminal import is_terminal, terminal, write, write_json

STYLES = {"OK": "green", "WARNING": "yellow", "PROBLEM": "bold red"}


def doctor(
    *,
    fleet: Annotated[
        Path | None,
        typer.Option("--fleet", "-f", envvar="SPILLWAY_FLEET", help="The fleet file."),
    ] = None,
    json: Json = False,
) -> None:
    """Check this host, and with a fleet file its sites. The exit code is the worst that is found.

    0 where all is well, 1 with warnings, 2 with problems. Nothing is changed, and nothing has to
    run.
    """
    from spillway.doctor.checks import checks
    from spillway.doctor.finding import Level
    from spillway.doctor.running import run

    worst, shown = Level.OK, []
    for finding in run(checks(fleet)):
        worst = max(worst, finding.level)
        if json:
            shown.append(
                {
                    "check": finding.check,
                    "level": finding.level.name.lower(),
                    "what": finding.what,
                    "do": finding.do,
                }
            )
        else:
            _write(finding.level.name, finding.check, finding.what, finding.do)
    if json:
        write_json({"level": worst.name.lower(), "findings": shown})
    raise typer.Exit(worst)


def _write(level: str, check: str, what: str, do: str) -> None:
    what, do = " ".join(what.split()), " ".join(do.split())
    if not is_terminal():
        write(f"{level.lower()}\t{check}\t{what}\t{do}")
        return
    from rich.markup import escape

    out = terminal()
    out.print(f"[{STYLES[level]}]{level.lower():8}[/] {check}: {escape(what)}")
    if do:
        out.print(f"         [dim]→ {escape(do)}[/]")
