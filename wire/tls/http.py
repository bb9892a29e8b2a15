"""TLS of HTTP servers, which is Python's own; files are looked at with each new connection."""

import contextlib
import ssl
from collections.abc import Iterator, Mapping
from typing import Any

from wire.tls.files import Material, TlsError, TlsFiles


def server_context(files: TlsFiles, *, asks: bool) -> ssl.SSLContext:
    """A context for a server, whose connections are as the files are when they begin.

    With `asks`, whoever connects has to show a certificate of the authority in `files`.

    Raises TlsError.
    """
    given = files.current()
    current = first = _context(files, given, asks=asks)

    def choose(connection: ssl.SSLObject, _name: str | None, _first: ssl.SSLContext) -> None:
        nonlocal given, current
        material = files.current()
        if material is not given:
            with contextlib.suppress(TlsError):  # replaced once more: the next one finds out
                current = _context(files, material, asks=asks)
                given = material
        connection.context = current

    first.sni_callback = choose
    return first


def names_of(certificate: Mapping[str, Any] | None) -> Iterator[str]:
    """The names in a peer's certificate, as `ssl.SSLObject.getpeercert` gives it."""
    for kind, name in (certificate or {}).get("subjectAltName", ()):
        if kind in {"DNS", "URI", "IP Address"}:
            yield name


def _context(files: TlsFiles, material: Material, *, asks: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        if files.certificate is None:
            raise TlsError("a server has to have a certificate")
        context.load_cert_chain(files.certificate, files.key, password="")
        if asks and material.authority is not None:
            context.load_verify_locations(cadata=material.authority.decode("ascii"))
        if asks:
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ValueError) as error:  # ssl.SSLError is one of the former
        raise TlsError(f"{files.certificate}: cannot be used: {error}") from error
    return context
