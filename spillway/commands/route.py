"""`spillway route`: one router in the foreground, of one process or of several."""

from typing import Annotated

import typer

from spillway.commands.failure import Outcome
from spillway.commands.parameters import FleetPath
from spillway.commands.terminal import say

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


def route(fleet: FleetPath, workers: Workers = 1) -> None:
    """Run a router until SIGTERM, which lets open streams finish, or Ctrl-C."""
    from spillway import fleet as fleet_file
    from spillway import routing

    if routing.run(fleet_file.load(fleet), say, workers):
        raise typer.Exit(Outcome.INTERRUPTED)
