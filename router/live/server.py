"""The gRPC server of a router: its options and its port."""

from collections.abc import Sequence
from typing import Final

import grpc
import grpc.aio

from router.live.tls import ServerTls
from wire.tls.server import HANDSHAKE_OPTIONS

_METADATA_BYTES_MAX: Final = 16 * 1024
"""Sessions, tenants, trace contexts and a token or two fit four times over."""

_UNCOMPRESSED_ONLY: Final = 1 << int(grpc.Compression.NoCompression)


def open_server(
    listen: str,
    message_bytes_max: int,
    *,
    shares_port: bool = False,
    interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
    tls: ServerTls | None = None,
) -> tuple[grpc.aio.Server, int]:
    """A server that is bound to host:port but not started, and the port it got.

    `shares_port` lets other workers of this router listen there, too. Without `tls` it listens in
    plaintext.

    Raises OSError where the address cannot be had.
    """
    server = grpc.aio.server(
        interceptors=(*(tls.interceptors if tls else ()), *interceptors),
        options=(
            *HANDSHAKE_OPTIONS,
            ("grpc.max_receive_message_length", message_bytes_max),
            ("grpc.max_send_message_length", -1),  # what an endpoint may send is bounded there
            ("grpc.max_metadata_size", _METADATA_BYTES_MAX),
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
