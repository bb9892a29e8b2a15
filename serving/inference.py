"""The service vllm.Inference."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

import grpc

from serving.answer_trace import begin_answer
from serving.engine import Engine, EngineDeadError, EngineOverloadedError
from serving.generation import Generation
from serving.lease_door import LeaseDoor
from serving.lease_ledger import LeaseLedger, LeaseUse
from serving.request import read_request
from serving.response import ResponseWriter, merge
from serving.resume import read_resume
from wire.malformed import Malformed
from wire.metadata import session_of
from wire.spillway.v1.lease_pb2 import Lease
from wire.status import CallContext, CallError, Metadata, bad_field, failure, overloaded
from wire.tracing.context import TraceContext
from wire.tracing.tracer import NOTHING, Tracer
from wire.vllm import inference_pb2 as pb

RETRY_AFTER_NS = 1_000_000_000
"""When one who was refused for overload may ask again: about the time of a short answer."""


class Inference:
    """Generate and GenerateStream over an engine.

    A request lives as long as its call: when the client cancels or vanishes, gRPC cancels the
    handler, whose generators close and abort the request in the engine.
    """

    def __init__(
        self,
        engine: Engine,
        requests_max: int,
        door: LeaseDoor,
        ledger: LeaseLedger,
        tracer: Tracer = NOTHING,
    ) -> None:
        self._tracer = tracer
        self._engine = engine
        self._requests_max = requests_max
        self._door = door
        self._ledger = ledger
        self._in_flight: set[str] = set()

    @property
    def in_flight(self) -> int:
        """Requests that have not ended."""
        return len(self._in_flight)

    async def Generate(  # noqa: N802 - the wire's name
        self, request: pb.GenerateRequest | Malformed, grpc_context: CallContext
    ) -> pb.GenerateResponse:
        """The whole answer in one message."""
        chunks: list[pb.GenerateResponse] = []
        try:
            if isinstance(request, pb.GenerateRequest) and request.sampling.num_sequences > 1:
                raise bad_field(
                    "sampling.num_sequences", "must be 1: use GenerateStream for several answers"
                )
            async with aclosing(self.chunks(request, grpc_context)) as responses:
                chunks = [response async for response in responses]
        except CallError as error:
            error.set_on(grpc_context, self.load_trailer(grpc_context))
            return pb.GenerateResponse()
        if trailer := self.load_trailer(grpc_context):
            grpc_context.set_trailing_metadata([*trailer])
        return merge(chunks)

    async def GenerateStream(  # noqa: N802 - the wire's name
        self, request: pb.GenerateRequest | Malformed, grpc_context: CallContext
    ) -> AsyncGenerator[pb.GenerateResponse, None]:
        """The answer chunk by chunk."""
        try:
            async with aclosing(self.chunks(request, grpc_context)) as responses:
                async for response in responses:
                    yield response
            if trailer := self.load_trailer(grpc_context):
                grpc_context.set_trailing_metadata([*trailer])
        except CallError as error:
            error.set_on(grpc_context, self.load_trailer(grpc_context))

    def load_trailer(self, _context: CallContext) -> Metadata:
        """What is told of the load behind an answer to this call; empty for nothing."""
        return ()

    def chunks(
        self, request: pb.GenerateRequest | Malformed, context: CallContext
    ) -> AsyncGenerator[pb.GenerateResponse, None]:
        """The answer to a request that came with this context, chunk by chunk. Raises CallError."""
        if isinstance(request, Malformed):
            raise bad_field(request.field or "request", request.reason)
        metadata = tuple(context.invocation_metadata() or ())
        lease = self._door.admit(request, metadata)
        if lease is not None:
            self._refuse_twice(lease.id)
        if lease is None:  # a layer less for every message
            return self._answer(request, metadata, None)
        return self._on_account(request, metadata, lease)

    async def _on_account(
        self, request: pb.GenerateRequest, metadata: Metadata, lease: Lease
    ) -> AsyncGenerator[pb.GenerateResponse, None]:
        with self._ledger.use(lease) as use:
            async with aclosing(self._answer(request, metadata, use)) as responses:
                async for response in responses:
                    yield response

    async def _answer(
        self, request: pb.GenerateRequest, metadata: Metadata, use: LeaseUse | None
    ) -> AsyncGenerator[pb.GenerateResponse, None]:
        trace = begin_answer(self._tracer, request, metadata, self._engine.info)
        try:
            generation = self._admitted(request, metadata, trace.context)
        except Exception as error:
            trace.fail(_code_of(error))
            trace.end(0)
            raise
        request_id = generation.request_id
        self._in_flight.add(request_id)
        writer, output = ResponseWriter(generation), None
        try:
            async with aclosing(self._engine.generate(generation)) as outputs:
                async for output in outputs:
                    response = writer.write(output)
                    if trace.waits:
                        trace.first_token(output)
                    if use is None:
                        yield response
                    else:
                        use.gave(response)
                        yield response
                        use.taken()
            trace.finish(output)
        except EngineDeadError as error:
            trace.fail(grpc.StatusCode.UNAVAILABLE)
            raise failure(
                grpc.StatusCode.UNAVAILABLE, "the engine of this replica has died"
            ) from error
        except EngineOverloadedError as error:
            trace.fail(grpc.StatusCode.RESOURCE_EXHAUSTED)
            raise overloaded(str(error), RETRY_AFTER_NS) from error
        except Exception as error:
            trace.fail(_code_of(error))
            raise
        finally:
            self._in_flight.discard(request_id)
            trace.end(writer.tokens)

    def _admitted(
        self, request: pb.GenerateRequest, metadata: Metadata, trace: TraceContext | None
    ) -> Generation:
        """The request as checked values. Raises CallError where it may not come in."""
        _, session = session_of(metadata)
        generation = read_request(request, self._engine.info, session, read_resume(metadata))
        self._refuse_twice(generation.request_id)
        if len(self._in_flight) >= self._requests_max:
            raise overloaded(
                f"{self._requests_max} requests are in flight, the most this replica takes",
                RETRY_AFTER_NS,
            )
        return generation if trace is None else replace(generation, trace=trace)

    def _refuse_twice(self, request_id: str) -> None:
        if request_id in self._in_flight:
            raise bad_field(
                "request_id",
                f"{request_id!r} is in flight here already; an id may be used again once its "
                "request has ended",
                grpc.StatusCode.ALREADY_EXISTS,
            )


def _code_of(error: Exception) -> grpc.StatusCode:
    """What whoever asked is told, who hears UNKNOWN of a defect."""
    return error.code if isinstance(error, CallError) else grpc.StatusCode.UNKNOWN
