"""`spillway lend` and `reclaim`: replicas of home given to other work, and taken back."""

import time
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from spillway.commands.client_tls import Ca, Cert, Key, tls_of
from spillway.commands.failure import Failure, Outcome
from spillway.commands.message import as_json
from spillway.commands.moment import EXPECTED, local_now, parse_moment, shown, span
from spillway.commands.parameters import ADDRESS, Address, Json, as_text
from spillway.commands.terminal import write, write_json, write_table

if TYPE_CHECKING:
    from spillway.client.tls import ClientTls
    from wire.spillway.v1.fleet_pb2 import Lent

LIST = "list"
COLUMNS = ("site", "lends", "of", "state", "by hand", "until", "by schedule", "until", "why")

Site = Annotated[
    str,
    typer.Argument(
        help="The site that lends; `list`, without options: what every site lends.",
        show_default=False,
        callback=as_text,
    ),
]
Lends = Annotated[
    int | None, typer.Option("--replicas", "-n", min=1, help="How many replicas to lend.")
]
TakesBack = Annotated[
    int | None,
    typer.Option("--replicas", "-n", min=1, help="How many to take back; all by default."),
]
Until = Annotated[
    str | None,
    typer.Option("--until", "-u", help=f"When they come back: {EXPECTED}. Local time."),
]
Reason = Annotated[
    str, typer.Option("--reason", "-r", help="Why; shown with the loan.", callback=as_text)
]


def lend(
    site: Site,
    *,
    replicas: Lends = None,
    until: Until = None,
    reason: Reason = "",
    address: Address = ADDRESS,
    ca: Ca = None,
    cert: Cert = None,
    key: Key = None,
    json: Json = False,
) -> None:
    """Lend replicas of home to other work until a time. `lend list` shows what is lent.

    Their streams finish, or go on elsewhere. Lending again replaces a site's loan.
    """
    tls = tls_of(ca, cert, key)
    if site == LIST and replicas is None and until is None:
        _list(address, tls, json=json)
        return
    if replicas is None or until is None:
        missing = "--replicas" if replicas is None else "--until"
        raise Failure(
            f"{missing} is missing: lend {site} --replicas 1 --until 06:00", Outcome.USAGE
        )
    moment = _moment(until, local_now())
    from spillway.client import SyncClient

    with SyncClient(address, tls=tls) as client:
        lent = client.lend(site, replicas, moment.timestamp(), reason)
    if json:
        write_json(as_json(lent))
        return
    left = span(moment.timestamp() - time.time())
    rest = f"; {lent.open_streams} streams run there" if lent.open_streams else ""
    write(
        f"{site} lends {lent.loaned} of {lent.of} replicas until"
        f" {shown(lent.loaned_until_unix_ns)}, in {left}{rest}."
    )


def reclaim(
    site: Site,
    *,
    replicas: TakesBack = None,
    address: Address = ADDRESS,
    ca: Ca = None,
    cert: Cert = None,
    key: Key = None,
    json: Json = False,
) -> None:
    """Take replicas back from other work: what was lent by hand first, then the schedule's."""
    from spillway.client import SyncClient

    with SyncClient(address, tls=tls_of(ca, cert, key)) as client:
        lent = client.reclaim(site, replicas or 0)
    if json:
        write_json(as_json(lent))
        return
    away = lent.loaned + lent.scheduled
    write(f"{site} lends {away} of {lent.of} replicas." if away else f"{site} lends nothing.")


def _list(address: str, tls: "ClientTls | None", *, json: bool) -> None:
    from spillway.client import SyncClient

    with SyncClient(address, tls=tls) as client:
        lent = client.lent()
    if json:
        write_json([as_json(one) for one in lent])
    else:
        write_table(COLUMNS, [_row(one) for one in lent])


def _moment(text: str, now: datetime) -> datetime:
    try:
        moment = parse_moment(text, now)
    except ValueError as error:
        raise Failure(f"--until {text}: {error}", Outcome.USAGE) from None
    if moment <= now:
        raise Failure(f"--until {text}: {moment:%a %d %b %Y %H:%M %Z} is past", Outcome.USAGE)
    return moment


def _row(lent: "Lent") -> tuple[str, ...]:
    state = lent.Phase.Name(lent.phase).lower()
    return (
        lent.site,
        str(lent.loaned + lent.scheduled),
        str(lent.of),
        f"{state}, {lent.open_streams} streams" if lent.open_streams else state,
        *_part(lent.loaned, lent.loaned_until_unix_ns),
        *_part(lent.scheduled, lent.scheduled_until_unix_ns),
        lent.reason or "-",
    )


def _part(replicas: int, until_unix_ns: int) -> tuple[str, str]:
    return (str(replicas), shown(until_unix_ns)) if replicas else ("-", "-")
