"""`spillway status`: the fleet as its router sees it."""

from contextlib import closing

from spillway.commands.client_tls import Ca, Cert, Key, tls_of
from spillway.commands.fleet_view import fleet_parts, fleet_title
from spillway.commands.looking import INTERVAL_S, Count, Interval, Watch, show
from spillway.commands.message import as_json
from spillway.commands.parameters import ADDRESS, Address, Json


def status(
    *,
    address: Address = ADDRESS,
    ca: Ca = None,
    cert: Cert = None,
    key: Key = None,
    watch: Watch = False,
    interval_s: Interval = INTERVAL_S,
    count: Count = None,
    json: Json = False,
) -> None:
    """Show every site and endpoint of the fleet."""
    from itertools import islice

    from spillway.client import SyncClient
    from spillway.client.defaults import ASK_DEADLINE_S

    again = watch or count is not None
    with (
        SyncClient(address, tls=tls_of(ca, cert, key)) as client,
        closing(client.watch_fleet(interval_s, None if again else ASK_DEADLINE_S)) as states,
    ):
        show(
            islice(states, count if again else 1),
            fleet_parts,
            title=fleet_title if again else None,
            json=as_json if json else None,
            in_place=again,
        )
