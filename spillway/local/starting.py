"""Says at a router's address that its fleet is starting, until the router listens there itself.

Engines take a minute to start. A port that is held without an answer would let early clients wait
for their deadline; one that is free could be taken by somebody else meanwhile.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import grpc

from spillway.local.ports import PortsError, hold

MESSAGE = "the local fleet is still starting; try again once it says where its router is"


class Starting:
    """Has the address from its making until `close()`."""

    def __init__(self, address: str) -> None:
        """Listens at host:port. Raises PortsError where somebody else does."""
        hold(address).close()
        self._server = grpc.server(
            ThreadPoolExecutor(2),
            handlers=(_Refusing(),),
            options=(("grpc.so_reuseport", 0),),  # a port that is taken is an error
        )
        try:
            self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise PortsError(f"Nobody can listen at {address}: {error}") from error
        self._server.start()

    def close(self) -> None:
        """Gives the address up."""
        self._server.stop(grace=None).wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Refusing(grpc.GenericRpcHandler):
    """Answers every method alike."""

    def service(self, _details: Any) -> Any:
        return grpc.stream_stream_rpc_method_handler(_refuse)


def _refuse(_requests: Any, context: Any) -> Any:
    context.abort(grpc.StatusCode.UNAVAILABLE, MESSAGE)
    yield b""  # never reached; a stream of answers is a generator
