"""A replica: one engine and the gRPC services it offers, wherever they are hosted.

The same methods run in a plain grpc.aio server (serving.standalone) and in a Ray Serve replica
(serving.app). Both find them by name; both pass a context that can do what CallContext says.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractContextManager, aclosing, nullcontext
from uuid import uuid4

import grpc
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2

from serving.control import Control
from serving.engine import Engine, EngineDeadError
from serving.engine_face import EngineFace, EngineFacts
from serving.health import Health
from serving.inference import Inference
from serving.lease_door import LeaseDoor, LeaseTerms
from serving.lease_ledger import LeaseLedger
from serving.link import LinkService
from serving.load import LoadBoard
from serving.orca_face import OrcaFace
from serving.tokenizer import TokenizerFiles
from wire.engine.service import EngineHandlers
from wire.malformed import Malformed, read
from wire.orca import service_pb2
from wire.orca.reporting import SERVICE as ORCA
from wire.orca.reporting import trailer_of, wants_trailer
from wire.spillway.v1 import link_pb2, load_pb2, tokenizer_pb2
from wire.status import CallContext, CallError, Metadata, failure
from wire.tracing.tracer import NOTHING, Tracer
from wire.vllm import control_pb2, inference_pb2

REQUESTS_MAX = 1024
"""Requests in flight at one replica: several times what an engine batches, and beyond it waiting
costs more than going elsewhere."""


class Replica(Inference, Control, LinkService, EngineFace, OrcaFace):
    """The methods of all services of one engine."""

    def __init__(
        self,
        engine: Engine,
        requests_max: int = REQUESTS_MAX,
        terms: LeaseTerms = LeaseTerms(),  # noqa: B008 - a frozen value
        tracer: Tracer = NOTHING,
    ) -> None:
        """`tracer` is closed by whoever opened it."""
        self.engine = engine
        instance_id, ledger = uuid4().hex, LeaseLedger()
        door = LeaseDoor(terms, instance_id)
        self.board = LoadBoard(
            engine,
            instance_id,
            ledger,
            takes_leases=door.takes_leases,
            requires_leases=door.requires_leases,
        )
        self._health = Health(engine, self.board)
        self._tokenizer = TokenizerFiles(engine)
        self.facts = EngineFacts(self._tokenizer)
        Inference.__init__(self, engine, requests_max, door, ledger, tracer)
        Control.__init__(self, engine, self.board.instance_id)

    def load_trailer(self, context: CallContext) -> Metadata:
        """The load, for who asks for it in ORCA's way."""
        if not wants_trailer(context.invocation_metadata() or ()):
            return ()
        return trailer_of(self.board.sample(self.engine.load()))

    def counted(self) -> AbstractContextManager[None]:
        """Counts a session of a link as a request, where the host counts requests."""
        return nullcontext()

    async def Abort(  # noqa: N802 - the wire's name
        self, request: control_pb2.AbortRequest, grpc_context: CallContext | None = None
    ) -> control_pb2.AbortResponse:
        """vllm.Control.Abort, by whoever may."""
        metadata = (grpc_context.invocation_metadata() if grpc_context else None) or ()
        try:
            self._door.admit_abort(request.request_ids, metadata)
        except CallError as error:
            if grpc_context is not None:
                error.set_on(grpc_context)
            return control_pb2.AbortResponse()
        return await Control.Abort(self, request, grpc_context)

    async def Check(  # noqa: N802 - the wire's name
        self, request: health_pb2.HealthCheckRequest, grpc_context: CallContext
    ) -> health_pb2.HealthCheckResponse:
        """grpc.health.v1.Health.Check."""
        return await self._health.check(request, grpc_context)

    async def Watch(  # noqa: N802 - the wire's name
        self,
        request: load_pb2.WatchLoadRequest | health_pb2.HealthCheckRequest,
        grpc_context: CallContext,
    ) -> AsyncGenerator[load_pb2.LoadReport | health_pb2.HealthCheckResponse, None]:
        """Load.Watch and Health.Watch: Serve knows methods by their last name alone."""
        if isinstance(request, health_pb2.HealthCheckRequest):
            async with aclosing(self._health.watch(request)) as statuses:
                async for status in statuses:
                    yield status
            return
        try:
            watching = self.board.watch(request)
            async with aclosing(watching) as reports:
                async for report in reports:
                    yield report
        except EngineDeadError:
            failure(grpc.StatusCode.UNAVAILABLE, "the engine of this replica has died").set_on(
                grpc_context
            )

    async def ReadTokenizer(  # noqa: N802 - the wire's name
        self, request: tokenizer_pb2.ReadTokenizerRequest, grpc_context: CallContext
    ) -> AsyncIterator[tokenizer_pb2.TokenizerPiece]:
        """spillway.v1.Tokenizer.ReadTokenizer."""
        async for piece in self._tokenizer.read(request, grpc_context):
            yield piece


def _to_bytes(message: Message) -> bytes:
    return message.SerializeToString()


def add_replica_to_server(replica: Replica, server: grpc.aio.Server) -> None:
    """Registers every service of a replica, as the generated add_..._to_server functions do.

    A request that is no message reaches its handler as Malformed, where the generated code would
    answer INTERNAL: the sender made the mistake, and can be told which.
    """

    def read_generate(raw: bytes) -> inference_pb2.GenerateRequest | Malformed:
        return read(inference_pb2.GenerateRequest, raw)

    def read_up(raw: bytes) -> link_pb2.Up | Malformed:
        return read(link_pb2.Up, raw)

    one, many = grpc.unary_unary_rpc_method_handler, grpc.unary_stream_rpc_method_handler
    both = grpc.stream_stream_rpc_method_handler

    def read_orca(raw: bytes) -> service_pb2.OrcaLoadReportRequest | Malformed:
        return read(service_pb2.OrcaLoadReportRequest, raw)

    services = {
        ORCA: {"StreamCoreMetrics": many(replica.StreamCoreMetrics, read_orca, _to_bytes)},
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
        "spillway.v1.Link": {"Connect": both(replica.Connect, read_up, _to_bytes)},
        "spillway.v1.Tokenizer": {
            "ReadTokenizer": many(
                replica.ReadTokenizer, tokenizer_pb2.ReadTokenizerRequest.FromString, _to_bytes
            ),
        },
        "grpc.health.v1.Health": {
            "Check": one(replica.Check, health_pb2.HealthCheckRequest.FromString, _to_bytes),
            "Watch": many(replica.Watch, health_pb2.HealthCheckRequest.FromString, _to_bytes),
        },
    }
    server.add_generic_rpc_handlers((EngineHandlers(replica),))
    for service, methods in services.items():
        # Both, as generated code does: the first is what servers that wrap handlers override.
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, methods),))
        server.add_registered_method_handlers(service, methods)
