"""`spillway top`: the fleet as it changes."""

from contextlib import closing
from typing import TYPE_CHECKING

from spillway.commands.client_tls import Ca, Cert, Key, tls_of
from spillway.commands.fleet_view import SITE_COLUMNS, fleet_parts, fleet_title, site_rows
from spillway.commands.looking import INTERVAL_S, Count, Interval, Part, show
from spillway.commands.message import as_json
from spillway.commands.parameters import ADDRESS, Address, Json
from spillway.commands.terminal import FoldedTable, is_terminal

if TYPE_CHECKING:
    from wire.spillway.v1.fleet_pb2 import FleetState


def top(
    *,
    address: Address = ADDRESS,
    ca: Ca = None,
    cert: Cert = None,
    key: Key = None,
    interval_s: Interval = INTERVAL_S,
    count: Count = None,
    json: Json = False,
) -> None:
    """Watch every site and endpoint of the fleet until Ctrl-C."""
    from itertools import islice

    from spillway.client import SyncClient

    with (
        SyncClient(address, tls=tls_of(ca, cert, key)) as client,
        closing(client.watch_fleet(interval_s)) as states,
    ):
        show(
            islice(states, count),
            fleet_parts if is_terminal() else _sites,
            title=fleet_title,
            json=as_json if json else None,
            in_place=True,
        )


def _sites(state: "FleetState") -> list[Part]:
    return [FoldedTable(SITE_COLUMNS, site_rows(state))]
