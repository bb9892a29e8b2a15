"""The service vllm.grpc.engine.VllmEngine of a replica: gateways like smg take it for a vLLM.

A request becomes one of vllm.Inference, and is let in, traced and counted as such.
"""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Protocol

from serving.engine import Engine, EngineDeadError
from serving.load import LoadBoard
from serving.tokenizer import TokenizerFiles
from wire.engine import engine_pb2 as pb
from wire.engine.answer import Answer
from wire.engine.bundle import chunks_of
from wire.engine.common_pb2 import GetTokenizerChunk, GetTokenizerRequest
from wire.engine.loads import Loads
from wire.engine.request import read_generate, renamed
from wire.engine.service import SERVER_TYPE, message_of
from wire.malformed import Malformed
from wire.spillway.v1.load_pb2 import LoadReport
from wire.status import CallContext, CallError
from wire.vllm.control_pb2 import AbortRequest, AbortResponse
from wire.vllm.inference_pb2 import GenerateRequest, GenerateResponse


class Replica(Protocol):
    """What this needs of a replica."""

    board: LoadBoard
    engine: Engine
    facts: "EngineFacts"

    @property
    def in_flight(self) -> int:
        """Requests that have not ended."""
        ...

    def chunks(
        self, request: GenerateRequest, context: CallContext
    ) -> AsyncGenerator[GenerateResponse, None]:
        """The answer to one request. Raises CallError."""
        ...

    async def Abort(  # noqa: N802 - the wire's name
        self, request: AbortRequest, grpc_context: CallContext | None = None
    ) -> AbortResponse:
        """vllm.Control.Abort, by whoever may."""
        ...


class EngineFacts:
    """What is asked of a replica here and nowhere else."""

    def __init__(
        self, tokenizer: TokenizerFiles, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock_s = clock_s
        self._begun_s = clock_s()
        self._loads = Loads()
        self.tokenizer = tokenizer

    @property
    def uptime_s(self) -> float:
        """Since the replica began to serve."""
        return self._clock_s() - self._begun_s

    def loads(
        self, asked: pb.GetLoadsRequest, report: LoadReport, version: str
    ) -> pb.GetLoadsResponse:
        """A report as loads."""
        return self._loads.response(asked, report, version, self._clock_s())


class EngineFace:
    """The methods, for a replica to inherit; wire.engine.service says why they are called so.

    A plain server gives each a context, and Serve those that name it `grpc_context`.
    """

    async def EngineGenerate(  # noqa: N802 - the wire's name, as for all that follows
        self: Replica, request: pb.GenerateRequest | Malformed, grpc_context: CallContext
    ) -> AsyncGenerator[pb.GenerateResponse, None]:
        """The answer, chunk by chunk or whole."""
        try:
            asked = message_of(request)
            generation = read_generate(asked, self.engine.info.max_model_len)
            said = Answer(asked)
            async with aclosing(self.chunks(generation, grpc_context)) as responses:
                async for response in responses:
                    for told in said.take(response):
                        yield told
        except CallError as error:
            renamed(error).set_on(grpc_context)

    async def EngineHealthCheck(  # noqa: N802
        self: Replica,
        _request: pb.HealthCheckRequest | Malformed,
        _grpc_context: CallContext | None = None,
    ) -> pb.HealthCheckResponse:
        """Healthy while the engine lives and the replica is not on its way out."""
        try:
            self.engine.check()
        except EngineDeadError:
            return pb.HealthCheckResponse(message="the engine of this replica has died")
        if self.board.draining:
            return pb.HealthCheckResponse(message="this replica is on its way out")
        return pb.HealthCheckResponse(healthy=True)

    async def EngineAbort(  # noqa: N802
        self: Replica, request: pb.AbortRequest | Malformed, grpc_context: CallContext
    ) -> pb.AbortResponse:
        """Ends requests: their streams finish with `abort`."""
        try:
            asked = message_of(request)
        except CallError as error:
            error.set_on(grpc_context)
            return pb.AbortResponse()
        await self.Abort(AbortRequest(request_ids=asked.request_ids), grpc_context)
        return pb.AbortResponse()

    async def EngineGetModelInfo(  # noqa: N802
        self: Replica,
        _request: pb.GetModelInfoRequest | Malformed,
        _grpc_context: CallContext | None = None,
    ) -> pb.GetModelInfoResponse:
        """The model; where its files lie is this machine's matter, so they are fetched."""
        info = self.engine.info
        return pb.GetModelInfoResponse(
            model_path=info.model_id,
            is_generation=True,
            max_context_length=info.max_model_len,
            vocab_size=info.vocab_size,
            served_model_name=info.served_names[0],
            eos_token_ids=[] if info.eos_token_id is None else [info.eos_token_id],
            max_req_input_len=info.max_model_len - 1,
        )

    async def EngineGetServerInfo(  # noqa: N802
        self: Replica,
        _request: pb.GetServerInfoRequest | Malformed,
        _grpc_context: CallContext | None = None,
    ) -> pb.GetServerInfoResponse:
        """The engine's sizes, and how long it has served."""
        info = self.engine.info
        return pb.GetServerInfoResponse(
            active_requests=self.in_flight,
            uptime_seconds=self.facts.uptime_s,
            server_type=SERVER_TYPE,
            data_parallel_size=info.parallelism.data,
            block_size=info.kv_block_size,
            attention_backend=info.attention_backend,
            max_num_seqs=info.max_running_requests,
            engine_reasoning_parser=info.reasoning_parser,
        )

    async def EngineGetLoads(  # noqa: N802
        self: Replica, request: pb.GetLoadsRequest | Malformed, grpc_context: CallContext
    ) -> pb.GetLoadsResponse:
        """The load as of the engine's latest step; the engine is the one rank there is, 0."""
        try:
            asked = message_of(request)
        except CallError as error:
            error.set_on(grpc_context)
            return pb.GetLoadsResponse()
        report = self.board.sample(self.engine.load())
        return self.facts.loads(asked, report, self.engine.info.version)

    async def EngineGetTokenizer(  # noqa: N802
        self: Replica, _request: GetTokenizerRequest | Malformed, grpc_context: CallContext
    ) -> AsyncIterator[GetTokenizerChunk]:
        """The tokenizer's files as an archive."""
        try:
            for chunk in chunks_of(await self.facts.tokenizer.archive()):
                yield chunk
        except CallError as error:
            error.set_on(grpc_context)
