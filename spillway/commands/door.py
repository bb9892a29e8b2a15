"""`spillway door`: one address for the endpoints of a site, in the foreground."""

from typing import Annotated

import typer

from spillway.commands.failure import Failure, Outcome
from spillway.commands.parameters import FleetPath, as_address
from spillway.commands.terminal import say


def door(
    fleet: FleetPath,
    site: Annotated[str, typer.Argument(help="A site of the fleet file that has a door.")],
    *,
    listen: Annotated[
        str | None,
        typer.Option(
            "--listen",
            help="Where to listen; by default at the door's port on every interface.",
            callback=as_address,
        ),
    ] = None,
    program: Annotated[
        str | None,
        typer.Option("--haproxy", help="HAProxy 2.8 or later, instead of the one that is found."),
    ] = None,
) -> None:
    """Run HAProxy as the door of a site until SIGTERM, which lets streams finish, or Ctrl-C."""
    from spillway import fleet as fleet_file
    from spillway.door.haproxy import find_program
    from spillway.door.keeping import keep_door

    file = fleet_file.load(fleet)
    try:
        way = file.access_to(site)
    except KeyError:
        raise Failure(f"{site} is no site of {fleet}", Outcome.USAGE) from None
    if way.door is None:
        raise Failure(f"{site} has no `door` in {fleet}", Outcome.USAGE)
    at = listen or f"0.0.0.0:{way.door.rpartition(':')[2]}"
    if keep_door(way, file.router, at, find_program(program), say):
        raise typer.Exit(Outcome.INTERRUPTED)
