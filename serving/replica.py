"""A replica: one engine and the gRPC services it offers, wherever they are hosted.

The same methods run in a plain grpc.aio server (serving.standalone) and in a Ray Serve replica
(serving.app). Both find them by name; both pass a context that can do what CallContext says.
"""

from collections.abc import AsyncIterator
from contextlib import aclosing
from uuid import uuid4

import grpc
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2

from serving.control import Control
from serving.engine import Engine, EngineDeadError
from serving.health import Health
from serving.inference import Inference
from serving.load import LoadBoard
from wire.malformed import Malformed, read
from wire.spillway.v1 import load_pb2
from wire.status import CallContext, failure
from wire.vllm import control_pb2, inference_pb2

REQUESTS_MAX = 1024
"""Requests in flight at one replica: several times what an engine batches, and beyond it waiting
costs more than going elsewhere."""


class Replica(Inference, Control):
    """The methods of all services of one engine."""

    def __init__(self, engine: Engine, requests_max: int = REQUESTS_MAX) -> None:
        self.engine = engine
        self.board = LoadBoard(engine, instance_id=uuid4().hex)
        self._health = Health(engine, self.board)
        Inference.__init__(self, engine, requests_max)
        Control.__init__(self, engine, self.board.instance_id)

    async def Check(  # noqa: N802 - the wire's name
        self, request: health_pb2.HealthCheckRequest, grpc_context: CallContext
    ) -> health_pb2.HealthCheckResponse:
        """grpc.health.v1.Health.Check."""
        return await self._health.check(request, grpc_context)

    async def Watch(  # noqa: N802 - the wire's name
        self,
        request: load_pb2.WatchLoadRequest | health_pb2.HealthCheckRequest,
        grpc_context: CallContext,
    ) -> AsyncIterator[load_pb2.LoadReport | health_pb2.HealthCheckResponse]:
        """Load.Watch and Health.Watch: Serve knows methods by their last name alone."""
        if isinstance(request, health_pb2.HealthCheckRequest):
            async with aclosing(self._health.watch(request)) as statuses:
                async for status in statuses:
                    yield status
            return
        try:
            async with aclosing(self.board.watch(request.max_silence_ms)) as reports:
                async for report in reports:
                    yield report
        except EngineDeadError:
            failure(grpc.StatusCode.UNAVAILABLE, "the engine of this replica has died").set_on(
                grpc_context
            )


def _to_bytes(message: Message) -> bytes:
    return message.SerializeToString()


def add_replica_to_server(replica: Replica, server: grpc.aio.Server) -> None:
    """Registers every service of a replica, as the generated add_..._to_server functions do.

    A request that is no message reaches its handler as Malformed, where the generated code would
    answer INTERNAL: the sender made the mistake, and can be told which.
    """

    def read_generate(raw: bytes) -> inference_pb2.GenerateRequest | Malformed:
        return read(inference_pb2.GenerateRequest, raw)

    one, many = grpc.unary_unary_rpc_method_handler, grpc.unary_stream_rpc_method_handler
    services = {
        "vllm.Inference": {
            "Generate": one(replica.Generate, read_generate, _to_bytes),
            "GenerateStream": many(replica.GenerateStream, read_generate, _to_bytes),
        },
        "vllm.Control": {
            "GetServerInfo": one(
                replica.GetServerInfo, control_pb2.GetServerInfoRequest.FromString, _to_bytes
            ),
            "GetModelInfo": one(
                replica.GetModelInfo, control_pb2.GetModelInfoRequest.FromString, _to_bytes
            ),
            "Abort": one(replica.Abort, control_pb2.AbortRequest.FromString, _to_bytes),
        },
        "spillway.v1.Load": {
            "Watch": many(replica.Watch, load_pb2.WatchLoadRequest.FromString, _to_bytes),
        },
        "grpc.health.v1.Health": {
            "Check": one(replica.Check, health_pb2.HealthCheckRequest.FromString, _to_bytes),
            "Watch": many(replica.Watch, health_pb2.HealthCheckRequest.FromString, _to_bytes),
        },
    }
    for service, methods in services.items():
        # Both, as generated code does: the first is what servers that wrap handlers override.
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, methods),))
        server.add_registered_method_handlers(service, methods)
