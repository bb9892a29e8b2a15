"""`spillway fleet`: the fleet file."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import typer

from spillway.commands.failure import Outcome
from spillway.commands.parameters import FleetPath, Json
from spillway.commands.terminal import is_terminal, say, write_json, write_table

if TYPE_CHECKING:
    from router.policy.lending import Lending
    from spillway.fleet import FleetFile, Problem

COLUMNS = (
    *("site", "kind", "region", "reached by", "model", "replicas", "committed", "metered"),
    "lends",
)

app = typer.Typer(help="Check a fleet file.", no_args_is_help=True)


@app.callback()
def _fleet() -> None:
    """Makes `check` a subcommand, though it is the only one."""


@app.command()
def check(path: FleetPath, *, json: Json = False) -> None:
    """Say what a fleet file describes, or all that is wrong with it (exit code 3)."""
    from spillway.fleet import FleetError, load

    try:
        file = load(path)
    except FleetError as error:
        if json:
            write_json({"valid": False, "problems": [_problem(one) for one in error.problems]})
        else:
            say(str(error))
        raise typer.Exit(Outcome.FLEET_FILE) from None
    rows, notes = [_row(file, site.name) for site in file.fleet.sites], list(_notes(file))
    if json:
        sites = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
        write_json({"valid": True, "sites": sites, "notes": notes})
        return
    write_table(COLUMNS, rows)
    for note in notes:
        say(note)
    if is_terminal():
        names = ", ".join(slo.name for slo in file.fleet.slo_classes)
        say(f"Service classes: {names}; {file.fleet.default_slo} is the default.")
        say(f"The router listens at {file.router.listen}.")


def _notes(file: "FleetFile") -> Iterator[str]:
    """What a router on this machine would lack; where it runs elsewhere that is no fault."""
    from router.live.key_file import KeyFileError, read_keys
    from router.live.openness import why_not_open
    from spillway.fleet.kinds import utc_time
    from wire.lease_keys import LeaseKeyError, read_lease_keys

    if file.router.lease_key_file is not None:
        try:
            read_lease_keys(file.router.lease_key_file, {})
        except LeaseKeyError as error:
            yield f"On this machine no router would start: lease_key_file: {error}"
    for site in file.fleet.sites:
        until_ns = site.lease_until_unix_ns
        if until_ns is not None and until_ns < time.time_ns():
            yield f"The lease of {site.name} ended {utc_time(until_ns)}: it gets no turns."
    said, why_not = file.router.authentication, why_not_open(file.router)
    keys_file = said.keys_file
    if not file.router.audit.path and (keys_file is not None or file.router.tls.accept):
        yield "What operators do is written down nowhere: router.audit.path says where."
    if why_not:
        yield f"No router would start: {why_not}."
    elif keys_file is None and said.tokens.issuer is None:
        yield "Whoever reaches the router may ask: nobody has to say who they are."
    elif keys_file is not None:
        try:
            read_keys(keys_file, {one.name for one in file.fleet.tenants})
        except KeyFileError as error:
            yield f"On this machine no router would start: keys_file: {error}"


def _row(file: "FleetFile", name: str) -> tuple[str, ...]:
    site, access = file.fleet.site(name), file.access_to(name)
    deployed = next((one for one in file.deployments if one.site == name), None)
    price = site.price.metered_usd_per_replica_hour
    return (
        name,
        site.kind.value,
        site.region or "-",
        ", ".join(filter(None, (access.dashboard_url, *access.endpoints))),
        deployed.model if deployed else "-",
        str(deployed.replicas) if deployed else "-",
        str(site.price.committed_replicas),
        f"{price:g} USD/h" if price else "-",
        _lends(site.lending),
    )


def _lends(lending: "Lending | None") -> str:
    from router.policy.lending import DAYS
    from spillway.fleet.kinds import time_of_day

    found = []
    for window in lending.windows if lending else ():
        hours = "-".join(map(time_of_day, (window.from_minute, window.until_minute)))
        days = () if window.days == DAYS else window.days
        found.append(" ".join((str(window.replicas), hours, *days)))
    return ", ".join(found) or "-"


def _problem(problem: "Problem") -> dict[str, Any]:
    from spillway.fleet.problem import dotted

    return {
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "key": dotted(problem.path),
        "message": problem.message,
    }
