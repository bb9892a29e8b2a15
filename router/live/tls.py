"""The TLS of one router: who it is to its sites and to whoever comes, by its settings."""

import ssl
from typing import Any, Final

import grpc
from aiohttp import web

from router.live.channel import Dialler
from router.live.settings import RouterSettings, SiteAccess, TlsSettings
from wire.tls.files import TlsError, TlsFiles
from wire.tls.http import names_of, server_context
from wire.tls.server import CertificateGate, server_credentials


class ServerTls:
    """What a listener of this router shows, and whom it lets in."""

    def __init__(self, settings: TlsSettings) -> None:
        """Raises TlsError for files that cannot be used, and a router without a certificate."""
        if settings.certificate is None:
            raise TlsError("tls: there is no certificate; give certificate and key")
        if settings.accept and settings.authority is None:
            raise TlsError("tls: accept needs an authority whose certificates are accepted")
        self._accept: Final = settings.accept
        self._files = TlsFiles(
            settings.certificate, settings.key, settings.authority if settings.accept else None
        )

    @property
    def interceptors(self) -> tuple[grpc.aio.ServerInterceptor, ...]:
        """What a gRPC server is made with, so that it knows who calls."""
        return (CertificateGate(self._accept),) if self._accept else ()

    def credentials(self) -> grpc.ServerCredentials:
        """What a port of a gRPC server is added with."""
        return server_credentials(self._files, asks=bool(self._accept))

    def http_context(self) -> ssl.SSLContext:
        """What a port of an HTTP server is added with."""
        return server_context(self._files, asks=bool(self._accept))

    @property
    def middlewares(self) -> tuple[Any, ...]:
        """What an aiohttp application is made with, so that it knows who calls."""
        accepted = frozenset(self._accept)
        if not accepted:
            return ()

        @web.middleware
        async def judge(request: web.Request, handler: Any) -> web.StreamResponse:
            if accepted.isdisjoint(names_of(request.get_extra_info("peercert"))):
                raise web.HTTPForbidden(text="this certificate is not accepted here\n")
            response: web.StreamResponse = await handler(request)
            return response

        return (judge,)


def server_tls(settings: RouterSettings) -> ServerTls | None:
    """That of a router which has a certificate. Raises TlsError."""
    return None if settings.tls == TlsSettings() else ServerTls(settings.tls)


def dialler_to(way: SiteAccess, settings: RouterSettings) -> Dialler:
    """How the endpoints of a site are reached. Raises TlsError."""
    if way.tls is None:
        return Dialler(settings.message_bytes_max)
    own, authority = settings.tls, way.tls.authority or settings.tls.authority
    if authority is None:
        raise TlsError(f"site {way.site}: tls: there is no authority, here or of the router")
    files = TlsFiles(own.certificate, own.key, authority)
    return Dialler(settings.message_bytes_max, files, way.tls.identity)
