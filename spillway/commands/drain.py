"""`spillway drain` and `undrain`: keep turns away from a site, and let them go there again."""

from typing import Annotated

import typer

from spillway.commands.client_tls import Ca, Cert, Key, tls_of
from spillway.commands.parameters import ADDRESS, Address, as_text
from spillway.commands.terminal import write

Site = Annotated[str, typer.Argument(help="The site's name.", show_default=False, callback=as_text)]


def drain(
    site: Site, *, address: Address = ADDRESS, ca: Ca = None, cert: Cert = None, key: Key = None
) -> None:
    """Keep new turns away from a site; its open streams finish."""
    from spillway.client import SyncClient

    with SyncClient(address, tls=tls_of(ca, cert, key)) as client:
        open_streams = client.drain(site)
    write(f"{site} drains; {open_streams} streams are open there.")


def undrain(
    site: Site, *, address: Address = ADDRESS, ca: Ca = None, cert: Cert = None, key: Key = None
) -> None:
    """Let turns go to a site again."""
    from spillway.client import SyncClient

    with SyncClient(address, tls=tls_of(ca, cert, key)) as client:
        client.undrain(site)
    write(f"{site} takes turns again.")
