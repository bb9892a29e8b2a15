"""`spillway site drain`: a site without a stream, so that it may be taken away."""

from typing import Annotated

import typer

from spillway.commands.client_tls import Ca, Cert, Key, tls_of
from spillway.commands.parameters import ADDRESS, Address, as_text
from spillway.commands.terminal import say, write

DRAIN_TIMEOUT_S = 600.0  # the router moves streams after its drain_timeout; few cannot move

Site = Annotated[str, typer.Argument(help="The site's name.", show_default=False, callback=as_text)]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would happen.")]
TimeoutS = Annotated[float, typer.Option("--timeout", min=0.001, help="Seconds to wait.")]


def drain(
    site: Site,
    *,
    address: Address = ADDRESS,
    ca: Ca = None,
    cert: Cert = None,
    key: Key = None,
    timeout_s: TimeoutS = DRAIN_TIMEOUT_S,
    dry_run: DryRun = False,
) -> None:
    """Keep turns away from a site through its router, and wait until its streams have ended.

    Run again it waits for what is left. `spillway undrain` lets turns go there again.
    """
    from spillway.client import SyncClient
    from spillway.sites import draining

    with SyncClient(address, tls=tls_of(ca, cert, key)) as client:
        if dry_run:
            now = draining.look(client, site)
            begun = "drains already" if now.draining else "would drain"
            write(f"{site} {begun}: {now.open_streams} streams are open, {now.sessions} sessions.")
            return
        drained = draining.drain(client, site, timeout_s, say)
    write(f"{site} is drained: no stream is open there (after {drained.took_s:.0f} s).")
