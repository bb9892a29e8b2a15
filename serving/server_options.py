"""How the gRPC servers of replicas are set up, whoever hosts them."""

import grpc

MESSAGE_BYTES_MAX = 16 * 1024 * 1024
"""A prompt of a million token ids takes 5 MB."""

METADATA_BYTES_MAX = 32 * 1024
"""What a router passes on of a client's 16 KiB, with its own and a lease."""

CONNECTIONS_MAX = 4_096
"""A router has one, or two with a link; clients that stream directly have one each."""

STREAMS_MAX = 20_000
"""Calls of one connection: a router has all of its own on one."""

SERVER_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_metadata_size", METADATA_BYTES_MAX),
    ("grpc.absolute_max_metadata_size", METADATA_BYTES_MAX),  # or chance decides in between
    ("grpc.max_allowed_incoming_connections", CONNECTIONS_MAX),
    ("grpc.max_concurrent_streams", STREAMS_MAX),
    # A compressed message is inflated before its size is judged, a thousandfold if it was made for
    # that; so those are answered UNIMPLEMENTED, unread.
    ("grpc.compression_enabled_algorithms_bitset", 1 << int(grpc.Compression.NoCompression)),
    # Routers keep idle connections alive with a ping every few seconds.
    ("grpc.http2.min_ping_interval_without_data_ms", 1_000),
    ("grpc.http2.max_ping_strikes", 0),
)
