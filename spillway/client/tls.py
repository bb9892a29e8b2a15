"""TLS of a client: whom it believes, and who it says it is."""

from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from spillway.client.connections import CHANNEL_OPTIONS
from wire.tls.channel import channel_credentials, identity_options
from wire.tls.files import TlsFiles

ChannelOptions = tuple[tuple[str, Any], ...]


class ClientTls:
    """What a client needs to speak TLS with a router. Several clients may share one.

    The files are read when a channel is opened: a client that outlives its certificate or authority
    has to be made anew.
    """

    def __init__(
        self,
        authority: Path | str,
        certificate: Path | str | None = None,
        key: Path | str | None = None,
        server_name: str | None = None,
    ) -> None:
        """`authority` is a file of authorities in PEM, one of which the router's certificate is of.

        `certificate` and `key` are shown to routers that accept certain clients only. `server_name`
        is the name in the router's certificate; by default, that of the address.

        Raises wire.tls.files.TlsError for files that cannot be used.
        """
        self._files = TlsFiles(
            None if certificate is None else Path(certificate),
            None if key is None else Path(key),
            Path(authority),
        )
        self._server_name = server_name

    def open(self, address: str, options: ChannelOptions = CHANNEL_OPTIONS) -> grpc.Channel:
        """A channel for threads."""
        return grpc.secure_channel(address, *self._way(options))

    def open_aio(self, address: str, options: ChannelOptions = CHANNEL_OPTIONS) -> grpc.aio.Channel:
        """A channel for an event loop."""
        return grpc.aio.secure_channel(address, *self._way(options))

    def _way(self, options: ChannelOptions) -> tuple[grpc.ChannelCredentials, ChannelOptions]:
        named = identity_options(self._server_name) if self._server_name else ()
        return channel_credentials(self._files.current()), (*options, *named)


def opened(address: str, tls: ClientTls | None) -> grpc.Channel:
    """A channel to a router, in plaintext without `tls`."""
    if tls is None:
        return grpc.insecure_channel(address, options=CHANNEL_OPTIONS)
    return tls.open(address)


def opened_aio(address: str, tls: ClientTls | None) -> grpc.aio.Channel:
    """The same, for an event loop."""
    if tls is None:
        return grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS)
    return tls.open_aio(address)
