"""`spillway site add`: a site in the fleet file, once it has been looked at and timed."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spillway.commands.failure import Failure, Outcome
from spillway.commands.findings import write_findings
from spillway.commands.terminal import say, write

if TYPE_CHECKING:
    from spillway.fleet.editing import FleetText

AGAIN_MAX = 5  # readings of a file that others change meanwhile
PRICES = {
    "metered": "metered_usd_per_replica_hour",
    "egress": "egress_usd_per_gib",
    "budget_hourly": "budget_usd_per_hour",
}
"""The keys of a site's price that can be given here, and what they set."""

Name = Annotated[str, typer.Argument(help="What the site is to be called.", show_default=False)]
Fleet = Annotated[
    Path, typer.Option("--fleet", "-f", envvar="SPILLWAY_FLEET", help="The fleet file.")
]
Ray = Annotated[
    str | None, typer.Option("--ray", help="Its Ray dashboard, such as http://10.0.0.5:8265.")
]
Endpoints = Annotated[
    list[str] | None,
    typer.Option("--endpoint", help="An endpoint as host:port, where Ray lists none; or several."),
]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Look at the site, and show what would change in the file."),
]

Calibrate = Annotated[
    bool | None,
    typer.Option(
        "--calibrate/--no-calibrate",
        help="Whether it is timed. By default it is, but for a dry run.",
    ),
]


def add(
    name: Name,
    *,
    fleet: Fleet,
    ray: Ray = None,
    endpoints: Endpoints = None,
    kind: Annotated[str, typer.Option("--kind", help="home or rented.")] = "rented",
    region: Annotated[str, typer.Option("--region", help="Where it is, for people.")] = "",
    application: Annotated[str | None, typer.Option("--application", help="With --ray.")] = None,
    host: Annotated[
        str | None, typer.Option("--host", help="With --ray: instead of the nodes' addresses.")
    ] = None,
    identity: Annotated[
        str | None, typer.Option("--identity", help="The DNS name in its certificate.")
    ] = None,
    authority: Annotated[
        Path | None, typer.Option("--authority", help="Of that certificate, else the router's.")
    ] = None,
    plaintext: Annotated[
        str | None, typer.Option("--plaintext", help="The sentence that docs/trust.md has.")
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="What it has to serve.")
    ] = None,
    replicas: Annotated[int | None, typer.Option("--replicas", min=1)] = None,
    committed: Annotated[
        int | None, typer.Option("--committed", min=0, help="Replicas paid for, used or not.")
    ] = None,
    metered: Annotated[
        str | None, typer.Option("--metered", help="Such as '2.49 USD/h', for a replica.")
    ] = None,
    egress: Annotated[str | None, typer.Option("--egress", help="Such as '0.08 USD/GiB'.")] = None,
    budget_hourly: Annotated[str | None, typer.Option("--budget-hourly", help="'8 USD/h'.")] = None,
    lease_until: Annotated[
        str | None, typer.Option("--lease-until", help="When it is gone: 2027-03-31T18:00:00Z.")
    ] = None,
    calibrate: Calibrate = None,
    dry_run: DryRun = False,
) -> None:
    """Look at a site, time it, and write it into the fleet file behind the others.

    Nothing is written for a site that fails a check; the exit code is then 1.
    """
    site = _filled(
        kind=kind,
        region=region,
        ray=_filled(dashboard=ray, application=application, host=host),
        endpoints=list(endpoints or ()),
        tls=_filled(identity=identity, authority=str(authority) if authority else None),
        plaintext=plaintext,
        capacity=_filled(replicas=replicas, committed=committed),
        price=_filled(metered=metered, egress=egress, budget_hourly=budget_hourly),
        lease_until=lease_until,
    )
    from spillway.fleet.editing import FleetText
    from spillway.fleet.kinds import is_name

    if not is_name(name):
        raise Failure(f"{name!r} is no name that a site could have", Outcome.USAGE)
    text = FleetText(fleet)
    if any(one.name == name for one in text.file.fleet.sites):
        _is_there(text, name, site)
        return
    timed = not dry_run if calibrate is None else calibrate
    asyncio.run(_add(text, name, site, model or "", calibrate=timed, dry_run=dry_run))


async def _add(
    text: "FleetText",
    name: str,
    site: dict[str, Any],
    model: str,
    *,
    calibrate: bool,
    dry_run: bool,
) -> None:
    from spillway.sites.adding import look, time_site, with_profile

    file = text.read(text.with_site(name, site))  # refused as a fleet file is, with its place
    say(f"Looking at {name} and its fellows.")
    looked = await look(file, name, model)
    write_findings(looked.findings)
    measured = None
    if looked.is_fit and calibrate:
        say("Timing it: prompts of growing lengths, and more and more streams.")
        measured, findings = await time_site(file, file.access_to(name), looked.found, say)
        write_findings(findings)
        if measured is None:
            raise Failure(f"{name} is not added: it failed its calibration")
    if not looked.is_fit:
        raise Failure(f"{name} is not added: it failed a check")
    found = with_profile(site, measured)
    if dry_run:
        changed = text.with_site(name, found)
        text.read(changed)
        write(text.difference(changed), end="")
        say(
            "Nothing is changed."
            if measured
            else "Nothing is changed. With --calibrate it is timed as well, for a profile."
        )
        return
    _put(text, name, site, found)


def _put(text: "FleetText", name: str, site: dict[str, Any], with_profile: dict[str, Any]) -> None:
    """Write the site into the file, as it is by then: looking at a site takes its time."""
    from spillway.fleet.editing import ChangedError, FleetText

    for left in reversed(range(AGAIN_MAX)):
        changed = text.with_site(name, with_profile)
        text.read(changed)
        try:
            text.write(changed)
        except ChangedError:
            if not left:
                raise
            text = FleetText(text.path)
            say(f"{text.path} was changed meanwhile, and is read again.")
            if any(one.name == name for one in text.file.fleet.sites):
                _is_there(text, name, site)
                return
        else:
            say(f"{name} is in {text.path}. Routers know it after `spillway reload`.")
            return


def _is_there(text: "FleetText", name: str, site: dict[str, Any]) -> None:
    """A site of this name is in the file: well where it is the same one."""
    alone = text.read(text.with_only(name, site))
    same = (
        alone.access_to(name) == text.file.access_to(name)
        and alone.fleet.site(name).kind == text.file.fleet.site(name).kind
    )
    if not same:
        raise Failure(
            f"{text.path} has a site {name} that is reached otherwise: change it there, or take it"
            " out first"
        )
    asked, there = alone.fleet.site(name), text.file.fleet.site(name)
    pairs = [
        (f"price.{key}", getattr(asked.price, field), getattr(there.price, field))
        for key, field in PRICES.items()
        if key in site.get("price", {})
    ]
    if "lease_until" in site:
        pairs.append(("lease_until", asked.lease_until_unix_ns, there.lease_until_unix_ns))
    if "region" in site:
        pairs.append(("region", asked.region, there.region))
    if differs := [key for key, given, known in pairs if given != known]:
        raise Failure(
            f"{text.path} has the site {name}, with another {' and '.join(differs)}:"
            " change it there"
        )
    say(f"{name} is in {text.path} already; nothing is changed.")


def _filled(**keys: Any) -> dict[str, Any]:
    """Without the keys that say nothing."""
    return {key: value for key, value in keys.items() if value not in (None, "", [], {})}
