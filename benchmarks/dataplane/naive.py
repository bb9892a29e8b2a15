"""The yardstick: the plainest byte proxy that can be written with grpc.aio.

`python -m benchmarks.dataplane.naive --to HOST:PORT` prints its port and serves until its standard
input closes. No routing, no retries, no accounting: what a router of ours costs beyond it is what
those cost.
"""

import argparse
import asyncio
from collections.abc import AsyncIterator

import grpc
import grpc.aio

from benchmarks.dataplane.process import serve_until_stdin_closes


class Proxy(grpc.GenericRpcHandler):
    """Passes every unary-stream call on, bytes as they are."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        """A forwarding handler for whatever method is asked for."""
        method = self._channel.unary_stream(details.method)

        async def forward(raw: bytes, _context: object) -> AsyncIterator[bytes]:
            call = method(raw)
            try:
                async for message in call:
                    yield message
            finally:
                call.cancel()

        return grpc.unary_stream_rpc_method_handler(forward)


async def main() -> None:
    """Serve until standard input closes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dataplane.naive")
    parser.add_argument("--to", required=True, help="host:port of the backend")
    options = parser.parse_args()
    async with grpc.aio.insecure_channel(options.to) as channel:
        await serve_until_stdin_closes(Proxy(channel))


if __name__ == "__main__":
    asyncio.run(main())
