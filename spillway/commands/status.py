"""`spillway status`: the fleet as its router sees it, once."""

from typing import TYPE_CHECKING

from spillway.commands.client_tls import Ca, Cert, Key, tls_of
from spillway.commands.fleet_view import (
    BUDGET_COLUMNS,
    ENDPOINT_COLUMNS,
    SITE_COLUMNS,
    TENANT_COLUMNS,
    budget_rows,
    endpoint_rows,
    scaling_lines,
    shared_line,
    site_rows,
    standing_lines,
    tenant_rows,
)
from spillway.commands.message import as_json
from spillway.commands.parameters import ADDRESS, Address, Json
from spillway.commands.terminal import write, write_json, write_table

if TYPE_CHECKING:
    from spillway.client.tls import ClientTls
    from wire.spillway.v1.fleet_pb2 import FleetState


def status(
    *,
    address: Address = ADDRESS,
    ca: Ca = None,
    cert: Cert = None,
    key: Key = None,
    json: Json = False,
) -> None:
    """Show every site and endpoint of the fleet."""
    state = _first_state(address, tls_of(ca, cert, key))
    if json:
        write_json(as_json(state))
        return
    write_table(SITE_COLUMNS, site_rows(state))
    write("")
    write_table(ENDPOINT_COLUMNS, endpoint_rows(state))
    if tenants := tenant_rows(state):
        write("")
        write_table(TENANT_COLUMNS, tenants)
    if budgets := budget_rows(state):
        write("")
        write_table(BUDGET_COLUMNS, budgets)
    for line in scaling_lines(state):
        write(line)
    if shared := shared_line(state):
        write("")
        write(shared)
    for line in standing_lines(state):
        write(line)


def _first_state(address: str, tls: "ClientTls | None") -> "FleetState":
    from spillway.client import SyncClient
    from spillway.client.defaults import ASK_DEADLINE_S

    with SyncClient(address, tls=tls) as client:
        return next(client.watch_fleet(deadline_s=ASK_DEADLINE_S))
