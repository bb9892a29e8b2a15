"""The gRPC server of a router: its options and its port."""

from collections.abc import Sequence
from typing import Final

import grpc
import grpc.aio

from router.live.settings import RouterSettings
from router.live.tls import ServerTls

_METADATA_BYTES_MAX: Final = 16 * 1024
"""Sessions, tenants, trace contexts and a token or two fit four times over."""

_CALLS_BESIDE: Final = 20_000
"""That may be open beside `streams_max` streams: watches, placements, and calls whose message is
not here yet."""

_UNCOMPRESSED_ONLY: Final = 1 << int(grpc.Compression.NoCompression)


def open_server(
    settings: RouterSettings,
    *,
    shares_port: bool = False,
    interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
    tls: ServerTls | None = None,
) -> tuple[grpc.aio.Server, int]:
    """A server that is bound where the settings say but not started, and the port it got.

    `shares_port` lets other workers of this router listen there, too. Without `tls` it listens in
    plaintext.

    Raises OSError where the address cannot be had.
    """
    listen, limits = settings.listen, settings.connections
    server = grpc.aio.server(
        interceptors=(*(tls.interceptors if tls else ()), *interceptors),
        maximum_concurrent_rpcs=settings.streams_max + _CALLS_BESIDE,
        options=(
            ("grpc.server_handshake_timeout_ms", milliseconds(limits.handshake_timeout_s)),
            # Who has not acknowledged the settings is held to 16 MiB of headers, not to the bound.
            ("grpc.http2.settings_timeout", milliseconds(limits.handshake_timeout_s)),
            ("grpc.max_allowed_incoming_connections", limits.max),
            ("grpc.max_concurrent_streams", limits.streams_max),
            ("grpc.max_connection_idle_ms", milliseconds(limits.idle_timeout_s)),
            ("grpc.max_receive_message_length", settings.message_bytes_max),
            ("grpc.max_send_message_length", -1),  # what an endpoint may send is bounded there
            ("grpc.max_metadata_size", _METADATA_BYTES_MAX),
            ("grpc.absolute_max_metadata_size", _METADATA_BYTES_MAX),  # else chance decides
            # A compressed message is inflated before its size is judged, a thousandfold if it was
            # made for that; so those are answered UNIMPLEMENTED, unread.
            ("grpc.compression_enabled_algorithms_bitset", _UNCOMPRESSED_ONLY),
            # Without workers, a port that is taken is an error and not a second router on it.
            ("grpc.so_reuseport", int(shares_port)),
            # Clients keep idle connections alive with a ping every few seconds.
            ("grpc.http2.min_ping_interval_without_data_ms", 1_000),
            ("grpc.http2.max_ping_strikes", 0),
            # A client behind a dead link holds its streams no longer than this.
            ("grpc.keepalive_time_ms", 30_000),
            ("grpc.keepalive_timeout_ms", 10_000),
        ),
    )
    try:
        port: int = (
            server.add_secure_port(listen, tls.credentials())
            if tls
            else server.add_insecure_port(listen)
        )
    except RuntimeError as error:
        # gRPC does not say which of them it is.
        raise OSError(
            f"cannot listen on {listen}: it is in use, or no address of this machine"
        ) from error
    return server, port


def milliseconds(seconds: float) -> int:
    """A time as gRPC's options have it; what is too short to say is the shortest."""
    return max(1, round(seconds * 1_000))
