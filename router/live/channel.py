"""Channels to endpoints: the options that every one of them has."""

from typing import Final

import grpc

RECONNECT_MAX_MS: Final = 2_000
"""A new process on an old address is found within this time."""

STREAM_BYTES_MAX: Final = 64 * 1024
"""What an endpoint may send ahead on a stream that its client does not read. gRPC's own measure,
the bandwidth-delay product, grows to megabytes; tokens come at a few KB a second."""


def open_channel(address: str, message_bytes_max: int) -> grpc.aio.Channel:
    """A channel of its own connection to host:port. It connects when it is first used."""
    return grpc.aio.insecure_channel(
        address,
        options=(
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
        ),
    )
