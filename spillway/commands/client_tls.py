"""TLS of the commands that talk to a router: three options, and what they make."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import ssl

    from spillway.client.tls import ClientTls

Ca = Annotated[
    Path | None,
    typer.Option(
        "--ca",
        envvar="SPILLWAY_CA",
        help="Speak TLS with a router whose certificate is of an authority in this file (PEM).",
    ),
]
Cert = Annotated[
    Path | None,
    typer.Option("--cert", envvar="SPILLWAY_CERT", help="The certificate to show it (PEM)."),
]
Key = Annotated[
    Path | None, typer.Option("--key", envvar="SPILLWAY_KEY", help="The key of --cert (PEM).")
]


def tls_of(ca: Path | None, cert: Path | None, key: Path | None) -> "ClientTls | None":
    """What a client is given; None for plaintext."""
    if ca is None:
        if cert is not None or key is not None:
            raise typer.BadParameter("--cert and --key need --ca, whom the router is believed by")
        return None
    from spillway.client.tls import ClientTls

    return ClientTls(ca, cert, key)


def http_context_of(ca: Path | None, cert: Path | None, key: Path | None) -> "ssl.SSLContext":
    """What an HTTP client is given; without --ca it believes the authorities of the machine."""
    import ssl

    if ca is None and (cert is not None or key is not None):
        raise typer.BadParameter("--cert and --key need --ca, whom the router is believed by")
    try:
        context = ssl.create_default_context(cafile=ca)
        if cert is not None:
            context.load_cert_chain(cert, key)
    except (OSError, ssl.SSLError) as error:
        raise typer.BadParameter(f"--ca, --cert and --key cannot be used: {error}") from error
    return context
