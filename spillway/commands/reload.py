"""`spillway reload`: have a router go by its fleet file as it is now."""

from typing import Annotated

import typer

from spillway.commands.client_tls import Ca, Cert, Key, tls_of
from spillway.commands.message import as_json
from spillway.commands.parameters import ADDRESS, Address, Json
from spillway.commands.terminal import say, write_json, write_table

COLUMNS = ("key", "before", "after")

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")]


def reload(
    *,
    dry_run: DryRun = False,
    address: Address = ADDRESS,
    ca: Ca = None,
    cert: Cert = None,
    key: Key = None,
    json: Json = False,
) -> None:
    """Have a router read its own fleet file again: all of it counts, or nothing of it."""
    from spillway.client import SyncClient

    with SyncClient(address, tls=tls_of(ca, cert, key)) as client:
        told = client.reload(dry_run=dry_run)
    if json:
        write_json(as_json(told))
        return
    if told.changes:
        rows = [(one.key, one.before or "-", one.after or "-") for one in told.changes]
        write_table(COLUMNS, rows)
    count = len(told.changes)
    what = f"{count} change{'' if count == 1 else 's'}" if count else "nothing changes"
    done = "reloaded" if told.applied else "nothing is done yet"
    say(f"{what}; {done}. The file's digest is {told.digest[:16]}.")
