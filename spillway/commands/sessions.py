"""`spillway sessions`: which sessions there are, and where."""

from typing import TYPE_CHECKING, Annotated

import typer

from spillway.commands.client_tls import Ca, Cert, Key, tls_of
from spillway.commands.looking import INTERVAL_S, Count, Interval, Watch, looks, show
from spillway.commands.message import as_json
from spillway.commands.parameters import ADDRESS, Address, Json, as_text
from spillway.commands.terminal import FoldedTable, seconds

if TYPE_CHECKING:
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
    interval_s: Interval = INTERVAL_S,
    count: Count = None,
    json: Json = False,
) -> None:
    """Show the sessions that the router has placed, the most recently used first."""
    from spillway.client import SyncClient

    with SyncClient(address, tls=tls_of(ca, cert, key)) as client:
        show(
            looks(
                lambda: client.sessions(site, tenant, limit),
                watch=watch,
                interval_s=interval_s,
                count=count,
            ),
            lambda listed: [FoldedTable(COLUMNS, [_row(one) for one in listed.sessions])],
            title=_title,
            json=as_json if json else None,
            in_place=watch or count is not None,
        )


def _title(listed: "ListSessionsResponse") -> str:
    shown = f"{listed.router_id}: {len(listed.sessions)} sessions"
    of = f" of {listed.total}" if listed.total else ""
    more = "; there are more: name a --site or a --tenant, or raise --limit" if listed.more else ""
    return f"{shown}{of}{more}"


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
