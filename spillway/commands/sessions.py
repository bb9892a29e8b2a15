"""`spillway sessions`: which sessions there are, and where."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from spillway.commands.client_tls import Ca, Cert, Key, tls_of
from spillway.commands.message import as_json
from spillway.commands.parameters import ADDRESS, Address, Json, as_text
from spillway.commands.terminal import (
    FoldedTable,
    is_terminal,
    seconds,
    terminal,
    write,
    write_json,
    write_table,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from wire.spillway.v1.fleet_pb2 import ListSessionsResponse, PlacedSession

LIMIT_MAX = 1_000  # of one answer of a router

COLUMNS = (
    "session", "tenant", "site", "where", "endpoint", "turns", "moves", "tokens", "cached",
    "last active",
)  # fmt: skip

Site = Annotated[str, typer.Option("--site", help="Those at this site alone.", callback=as_text)]
Tenant = Annotated[
    str, typer.Option("--tenant", help="Those of this tenant alone.", callback=as_text)
]
Limit = Annotated[int, typer.Option("--limit", "-l", min=1, max=LIMIT_MAX, help="So many at most.")]
Watch = Annotated[bool, typer.Option("--watch", "-w", help="Look again and again, until Ctrl-C.")]
Interval = Annotated[
    float, typer.Option("--interval", "-i", min=0.1, max=60.0, help="Seconds between looks.")
]
Count = Annotated[int | None, typer.Option("--count", "-c", min=1, help="End after so many looks.")]


def sessions(
    *,
    address: Address = ADDRESS,
    ca: Ca = None,
    cert: Cert = None,
    key: Key = None,
    site: Site = "",
    tenant: Tenant = "",
    limit: Limit = 100,
    watch: Watch = False,
    interval_s: Interval = 1.0,
    count: Count = None,
    json: Json = False,
) -> None:
    """Show the sessions that the router has placed, the most recently used first."""
    from spillway.client import SyncClient

    with SyncClient(address, tls=tls_of(ca, cert, key)) as client:

        def looks() -> "Iterator[ListSessionsResponse]":
            made = 0
            while True:
                yield client.sessions(site, tenant, limit)
                made += 1
                if not (watch or count) or made == count:
                    return
                time.sleep(interval_s)

        if is_terminal() and not json and (watch or count):
            _live(looks())
            return
        for listed in looks():
            if json:
                write_json(as_json(listed))
                continue
            write_table(COLUMNS, _rows(listed))
            if is_terminal():
                write(_title(listed))


def _live(looks: "Iterator[ListSessionsResponse]") -> None:
    from rich.live import Live

    with Live(console=terminal(), auto_refresh=False) as live:
        for listed in looks:
            live.update(_picture(listed), refresh=True)


def _picture(listed: "ListSessionsResponse") -> "RenderableType":
    from rich.console import Group

    return Group(_title(listed), "", FoldedTable(COLUMNS, _rows(listed)))


def _title(listed: "ListSessionsResponse") -> str:
    shown = f"{listed.router_id}: {len(listed.sessions)} sessions"
    of = f" of {listed.total}" if listed.total else ""
    more = "; there are more: name a --site or a --tenant, or raise --limit" if listed.more else ""
    return f"{shown}{of}{more}"


def _rows(listed: "ListSessionsResponse") -> list[tuple[str, ...]]:
    return [_row(one) for one in listed.sessions]


def _row(one: "PlacedSession") -> tuple[str, ...]:
    return (
        _shown(one.session),
        _shown(one.tenant) or "-",
        one.site or "-",
        "-" if not one.site else "overflow" if one.overflow else "home",
        one.endpoint,
        str(one.turns),
        str(one.moves),
        str(one.output_tokens),
        str(one.cached_tokens),
        seconds(one.idle_s),
    )


def _shown(name: str) -> str:
    """A name that a client chose, without what a terminal would act on."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)
