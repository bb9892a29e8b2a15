"""A replica in a plain grpc.aio server: one process, one engine, no Ray.

For tests and benchmarks, and for a single machine that needs no cluster.
"""

import grpc

from serving.engine import Engine
from serving.replica import MESSAGE_BYTES_MAX, REQUESTS_MAX, Replica, add_replica_to_server

SERVER_OPTIONS = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    # A port that is taken is an error, not a second server on it.
    ("grpc.so_reuseport", 0),
    # Routers keep idle connections alive with a ping every few seconds.
    ("grpc.http2.min_ping_interval_without_data_ms", 1_000),
    ("grpc.http2.max_ping_strikes", 0),
)


class StandaloneServer:
    """A running server, the port it got and the replica behind it."""

    def __init__(self, server: grpc.aio.Server, port: int, replica: Replica) -> None:
        self._server = server
        self.port = port
        self.replica = replica

    async def stop(self, grace_s: float = 0.0) -> None:
        """Drains for at most grace_s, then ends what is left, and the engine."""
        self.replica.board.drain()
        await self._server.stop(grace_s)
        await self.replica.engine.shutdown()

    async def wait_closed(self) -> None:
        """Until the server has stopped."""
        await self._server.wait_for_termination()


async def serve_standalone(
    engine: Engine, port: int = 0, host: str = "127.0.0.1", requests_max: int = REQUESTS_MAX
) -> StandaloneServer:
    """Serves engine on host:port; port 0 takes a free one.

    Raises OSError where the port is taken.
    """
    server = grpc.aio.server(options=SERVER_OPTIONS)
    replica = Replica(engine, requests_max)
    add_replica_to_server(replica, server)
    try:
        bound = server.add_insecure_port(f"{host}:{port}")
    except RuntimeError as error:
        raise OSError(f"cannot listen on {host}:{port}: {error}") from error
    await server.start()
    return StandaloneServer(server, bound, replica)
