"""`spillway route`: one router process in the foreground."""

import typer

from spillway.commands.failure import Outcome
from spillway.commands.parameters import FleetPath
from spillway.commands.terminal import say


def route(fleet: FleetPath) -> None:
    """Run a router until SIGTERM, which lets open streams finish, or Ctrl-C."""
    from spillway import fleet as fleet_file
    from spillway import routing

    if routing.run(fleet_file.load(fleet), say):
        raise typer.Exit(Outcome.INTERRUPTED)
