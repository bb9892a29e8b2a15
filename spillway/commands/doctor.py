"""`spillway doctor`: what is wrong with this host and this fleet, and what mends it."""

from pathlib import Path
from typing import Annotated

import typer

from spillway.commands.findings import as_json, write_finding
from spillway.commands.parameters import Json
from spillway.commands.terminal import write_json


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
            shown.append(as_json(finding))
        else:
            write_finding(finding)
    if json:
        write_json({"level": worst.name.lower(), "findings": shown})
    raise typer.Exit(worst)
