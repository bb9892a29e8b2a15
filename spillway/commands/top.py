"""`spillway top`: the fleet as it changes."""

from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

from spillway.commands.client_tls import Ca, Cert, Key, tls_of
from spillway.commands.fleet_view import ENDPOINT_COLUMNS, SITE_COLUMNS, endpoint_rows, site_rows
from spillway.commands.parameters import ADDRESS, Address
from spillway.commands.shown import line_of
from spillway.commands.terminal import FoldedTable, is_terminal, terminal, write_table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import RenderableType

    from wire.spillway.v1.fleet_pb2 import FleetState


def top(
    *,
    address: Address = ADDRESS,
    ca: Ca = None,
    cert: Cert = None,
    key: Key = None,
    interval_s: Annotated[
        float, typer.Option("--interval", "-i", min=0.1, max=60.0, help="Seconds between looks.")
    ] = 1.0,
    count: Annotated[
        int | None, typer.Option("--count", "-c", min=1, help="End after so many looks.")
    ] = None,
) -> None:
    """Watch every site and endpoint of the fleet until Ctrl-C."""
    from itertools import islice

    from spillway.client import SyncClient

    with (
        SyncClient(address, tls=tls_of(ca, cert, key)) as client,
        closing(client.watch_fleet(interval_s)) as states,
    ):
        looks = islice(states, count)
        if is_terminal():
            _live(looks)
        else:
            for state in looks:
                write_table(SITE_COLUMNS, site_rows(state))


def _live(states: "Iterable[FleetState]") -> None:
    from rich.live import Live

    with Live(console=terminal(), auto_refresh=False) as live:
        for state in states:
            live.update(_picture(state), refresh=True)


def _picture(state: "FleetState") -> "RenderableType":
    from rich.console import Group

    title = (
        f"{state.router_id}: {state.sessions} sessions, {state.open_streams} open streams,"
        f" {state.refused} refused"
    )
    return Group(
        title,
        "",
        FoldedTable(SITE_COLUMNS, site_rows(state)),
        "",
        FoldedTable(ENDPOINT_COLUMNS, [tuple(map(line_of, row)) for row in endpoint_rows(state)]),
    )
