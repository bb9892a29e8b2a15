"""`spillway route`: one router in the foreground, of one process or of several."""

from dataclasses import replace
from typing import Annotated

import typer

from spillway.commands.failure import Outcome
from spillway.commands.parameters import FleetPath
from spillway.commands.terminal import say
from wire.logs.lines import LogFormat

WORKERS_MAX = 64  # each has a link to every endpoint

Workers = Annotated[
    int,
    typer.Option(
        "--workers",
        "-w",
        min=1,
        max=WORKERS_MAX,
        help="Processes that share the port; a worker passes on some thousand tokens a second.",
    ),
]


LogForm = Annotated[
    LogFormat | None,
    typer.Option(
        "--log-format",
        help="Have the log be lines of this form, one for each request.",
    ),
]


def route(fleet: FleetPath, workers: Workers = 1, log_format: LogForm = None) -> None:
    """Run a router until SIGTERM, which lets open streams finish, or Ctrl-C."""
    from spillway import fleet as fleet_file
    from spillway import routing

    file = fleet_file.load(fleet)
    if log_format is not None:
        file = replace(
            file, router=replace(file.router, log=replace(file.router.log, format=log_format))
        )
    if routing.run(file, say, workers):
        raise typer.Exit(Outcome.INTERRUPTED)
