"""The service grpc.health.v1.Health."""

import asyncio
from collections.abc import AsyncGenerator

import grpc
from grpc_health.v1 import health_pb2 as pb

from serving.engine import Engine, EngineDeadError
from serving.load import LoadBoard
from wire.status import CallContext, failure

SERVICES = (
    "vllm.Inference",
    "vllm.Control",
    "spillway.v1.Load",
    "spillway.v1.Link",
    "spillway.v1.Tokenizer",
    "vllm.grpc.engine.VllmEngine",
    "xds.service.orca.v3.OpenRcaService",
)
"""The services that may be asked for by name; the empty name means all of them."""

SHOWN_MAX = 64
"""Characters of a name that an answer says again: it may be as long as a message."""

POLL_S = 0.25
"""How late a watcher may learn of a change."""


class Health:
    """SERVING while the engine lives and the replica is not on its way out."""

    def __init__(self, engine: Engine, board: LoadBoard) -> None:
        self._engine = engine
        self._board = board

    async def check(
        self, request: pb.HealthCheckRequest, grpc_context: CallContext
    ) -> pb.HealthCheckResponse:
        """The status now; NOT_FOUND for a service that is not served here."""
        if not _known(request.service):
            failure(
                grpc.StatusCode.NOT_FOUND,
                f"service {request.service[:SHOWN_MAX]!r} is not served here",
            ).set_on(grpc_context)
            return pb.HealthCheckResponse()
        return pb.HealthCheckResponse(status=self._status())

    async def watch(
        self, request: pb.HealthCheckRequest
    ) -> AsyncGenerator[pb.HealthCheckResponse, None]:
        """The status, and again whenever it changes, until the replica goes."""
        sent = None
        while True:
            status = (
                self._status()
                if _known(request.service)
                else pb.HealthCheckResponse.SERVICE_UNKNOWN
            )
            if status != sent:
                yield pb.HealthCheckResponse(status=status)
                sent = status
            if self._board.draining:
                return
            await asyncio.sleep(POLL_S)

    def _status(self) -> pb.HealthCheckResponse.ServingStatus:
        try:
            self._engine.check()
        except EngineDeadError:
            return pb.HealthCheckResponse.NOT_SERVING
        if self._board.draining:
            return pb.HealthCheckResponse.NOT_SERVING
        return pb.HealthCheckResponse.SERVING


def _known(service: str) -> bool:
    return service == "" or service in SERVICES
