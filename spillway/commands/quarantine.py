"""`spillway quarantine`: prompts that a router keeps away, as engines crashed under them."""

from typing import TYPE_CHECKING, Annotated

import typer

from spillway.commands.client_tls import Ca, Cert, Key, tls_of
from spillway.commands.looking import INTERVAL_S, Count, Interval, Watch, looks, show
from spillway.commands.message import as_json
from spillway.commands.parameters import ADDRESS, Address, Json, as_text
from spillway.commands.terminal import FoldedTable, seconds, write

if TYPE_CHECKING:
    from wire.spillway.v1.fleet_pb2 import Quarantined

COLUMNS = ("fingerprint", "model", "tenant", "prompt", "age", "left", "refused", "crashed")

app = typer.Typer(help="Prompts under which engines crashed.", no_args_is_help=True)

Fingerprint = Annotated[
    str,
    typer.Argument(
        help="The prompt's fingerprint, as `list` shows it.", show_default=False, callback=as_text
    ),
]


@app.command("list")
def list_(
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
    """Show the prompts in quarantine."""
    from spillway.client import SyncClient

    with SyncClient(address, tls=tls_of(ca, cert, key)) as client:
        show(
            looks(client.quarantined, watch=watch, interval_s=interval_s, count=count),
            lambda kept: [FoldedTable(COLUMNS, [_row(one) for one in kept])],
            json=(lambda kept: [as_json(one) for one in kept]) if json else None,
            in_place=watch or count is not None,
        )


@app.command()
def release(
    fingerprint: Fingerprint,
    *,
    address: Address = ADDRESS,
    ca: Ca = None,
    cert: Cert = None,
    key: Key = None,
) -> None:
    """Let a prompt in again."""
    from spillway.client import SyncClient

    with SyncClient(address, tls=tls_of(ca, cert, key)) as client:
        client.release_quarantine(fingerprint)
    write(f"{fingerprint} is let in again.")


def _row(one: "Quarantined") -> tuple[str, ...]:
    return (
        one.fingerprint,
        one.model or "-",
        one.tenant or "-",
        f"{one.prompt_tokens} tokens",
        seconds(one.age_s),
        seconds(one.left_s),
        str(one.refused),
        ", ".join(one.endpoints),
    )
