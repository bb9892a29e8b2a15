"""`spillway drill`: a disaster on purpose, and what came of it."""

import asyncio
import json
import random
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spillway.commands.client_tls import Ca, Cert, Key, tls_of
from spillway.commands.confirming import confirm
from spillway.commands.failure import Failure, Outcome
from spillway.commands.parameters import ADDRESS, Address, Json
from spillway.commands.terminal import say, write, write_json

if TYPE_CHECKING:
    from spillway.client.tls import ClientTls
    from spillway.drills.drills import Drill
    from spillway.drills.report import Report

LOCAL = "local"
HOLD_S = 5.0

Name = Annotated[
    str,
    typer.Argument(
        help="site-lost, link-lost, certificate-expired, store-away or clocks-skewed.",
        show_default=False,
    ),
]


def drill(
    name: Name,
    *,
    fleet: Annotated[
        str,
        typer.Option(
            "--fleet",
            "-f",
            help="`local`, a fleet of this drill's own; or a fleet file, whose router is asked.",
        ),
    ] = LOCAL,
    site: Annotated[
        str, typer.Option("--site", help="Which site of a fleet that is not local is taken away.")
    ] = "",
    address: Address = ADDRESS,
    ca: Ca = None,
    cert: Cert = None,
    key: Key = None,
    hold_s: Annotated[
        float, typer.Option("--hold", min=0.0, help="Seconds between the strike and the heal.")
    ] = HOLD_S,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write the report there, as JSON.")
    ] = None,
    json: Json = False,
) -> None:
    """Do a fault to a fleet on purpose, and report what its clients saw. 1 where a promise broke.

    The local fleet is made for the drill and is gone after it. On any other, a site is drained and
    undrained again, also after Ctrl-C, and nothing else is done.
    """
    from spillway.drills.drills import DRILLS
    from spillway.local.foreground import sigterm_as_interrupt

    chosen = DRILLS.get(name)
    if chosen is None:
        raise Failure(f"there is no drill {name}; there are {', '.join(DRILLS)}", Outcome.USAGE)
    with sigterm_as_interrupt():
        try:
            if fleet == LOCAL:
                report = _local(chosen, hold_s)
            else:
                report = _on_fleet(chosen, fleet, site, address, tls_of(ca, cert, key), hold_s, yes)
        except KeyboardInterrupt:
            # Whether what was done could be undone is said already.
            raise Failure("interrupted", Outcome.INTERRUPTED) from None
    _show(report, out, json=json)


def _local(chosen: "Drill", hold_s: float) -> "Report":
    from spillway.drills.running import run_local

    say(f"Drill {chosen.name}: {chosen.what}.")
    return asyncio.run(run_local(chosen, hold_s, say, random.Random()))


def _on_fleet(
    chosen: "Drill",
    fleet: str,
    site: str,
    address: str,
    tls: "ClientTls | None",
    hold_s: float,
    yes: bool,
) -> "Report":
    from spillway.client import Client
    from spillway.drills.on_fleet import run_on_fleet
    from spillway.fleet import load

    if not chosen.on_a_fleet:
        raise Failure(
            f"{chosen.name} is done to a local fleet only: on another one it could not be undone",
            Outcome.USAGE,
        )
    file = load(Path(fleet))
    names = [one.name for one in file.fleet.sites]
    if site not in names:
        raise Failure(f"name the site with --site: one of {', '.join(names)}", Outcome.USAGE)
    say(f"Drill {chosen.name}: {site} is drained through {address}, and undrained again.")
    confirm(f"Take {site} away from the fleet for {hold_s:.0f} s?", yes=yes)

    async def run() -> "Report":
        async with Client(address, tls=tls) as client:
            return await run_on_fleet(chosen.name, client, site, hold_s, say)

    return asyncio.run(run())


def _show(report: "Report", out: Path | None, *, json: bool) -> None:
    if out is not None:
        try:
            out.write_text(_as_text(report))
        except OSError as error:
            raise Failure(f"--out {out}: {error.strerror or error}") from None
    if json:
        write_json(report.as_json())
    else:
        for line in report.lines():
            write(line)
    if not report.held:
        raise typer.Exit(Outcome.FAILED)


def _as_text(report: "Report") -> str:
    return f"{json.dumps(report.as_json(), indent=2)}\n"
