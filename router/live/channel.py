"""Channels to endpoints: the options that every one of them has, and whom they reach."""

from typing import Final

import grpc

from wire.tls.channel import channel_credentials, identity_options
from wire.tls.files import Material, TlsFiles

RECONNECT_MAX_MS: Final = 2_000
"""A new process on an old address is found within this time."""

STREAM_BYTES_MAX: Final = 64 * 1024
"""What an endpoint may send ahead on a stream that its client does not read. gRPC's own measure,
the bandwidth-delay product, grows to megabytes; tokens come at a few KB a second."""


class Dialled:
    """A channel of its own connection, and what that shows."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        files: TlsFiles | None = None,
        material: Material | None = None,
    ) -> None:
        """`material` is what `files` had when the channel was made."""
        self.channel = channel
        self._files = files
        self._material = material

    @property
    def is_tls(self) -> bool:
        """Whether it speaks TLS."""
        return self._files is not None

    @property
    def is_outdated(self) -> bool:
        """Whether files were replaced since: its next connection would show what is of old."""
        return self._files is not None and self._files.current() is not self._material


class Dialler:
    """Opens channels to the endpoints of one site."""

    def __init__(
        self, message_bytes_max: int, files: TlsFiles | None = None, identity: str = ""
    ) -> None:
        """In plaintext without `files`: this router's certificate, and the site's authority.

        With them, `identity` is the one that an endpoint has to show a certificate of.
        """
        self.message_bytes_max = message_bytes_max
        self._files = files
        self._identity = identity

    def open(self, address: str) -> Dialled:
        """A channel to host:port, which connects when it is first used."""
        options = _options(self.message_bytes_max)
        if self._files is None:
            return Dialled(grpc.aio.insecure_channel(address, options=options))
        material = self._files.current()
        options += identity_options(self._identity)
        channel = grpc.aio.secure_channel(address, channel_credentials(material), options=options)
        return Dialled(channel, self._files, material)


def _options(message_bytes_max: int) -> tuple[tuple[str, int | str], ...]:
    return (
        ("grpc.max_receive_message_length", message_bytes_max),
        ("grpc.max_send_message_length", message_bytes_max),
        ("grpc.http2.bdp_probe", 0),
        ("grpc.http2.lookahead_bytes", STREAM_BYTES_MAX),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 1_000),
        ("grpc.max_reconnect_backoff_ms", RECONNECT_MAX_MS),
        # Two channels to one address must not share a connection that one of them closes.
        ("grpc.use_local_subchannel_pool", 1),
        # Trying again is the core's to decide.
        ("grpc.enable_retries", 0),
        # An endpoint is reached as it is named, not through a proxy meant for the internet.
        ("grpc.enable_http_proxy", 0),
    )
