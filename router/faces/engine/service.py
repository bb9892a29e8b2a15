"""The service vllm.grpc.engine.VllmEngine of a router: a gateway like smg takes it for a vLLM.

To a gateway a server of this API is one model. Here it is the first one that the caller may ask
for, and the fleet behind it one engine of as many places as all endpoints have.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final, Protocol

import grpc

from router.faces.call import Inference, answer
from router.faces.models import Served, find
from router.faces.passing import passed_on
from router.live.callers import Callers
from router.live.roster import Roster
from router.policy.fleet import Tenant
from wire.engine import engine_pb2 as pb
from wire.engine.answer import Answer
from wire.engine.bundle import archive_of, chunks_of
from wire.engine.common_pb2 import GetTokenizerChunk, GetTokenizerRequest
from wire.engine.loads import Loads
from wire.engine.request import read_generate, renamed
from wire.engine.service import SERVER_TYPE, message_of
from wire.malformed import Malformed
from wire.spillway.v1.load_pb2 import LoadReport
from wire.spillway.v1.tokenizer_pb2 import ReadTokenizerRequest, TokenizerPiece
from wire.status import CallError, failure
from wire.vllm import control_pb2
from wire.vllm.inference_pb2 import GenerateResponse

VERSION: Final = "spillway"
"""What a router says of the engine's version: it has several."""

ARCHIVE_S: Final = 60.0
"""For an archive to be made, and those before it: some 10 MB of files cross any link in less."""


class Control(Protocol):
    """The router's own vllm.Control."""

    async def GetServerInfo(  # noqa: N802 - the wire's name, as for all that follows
        self, request: control_pb2.GetServerInfoRequest, context: Any
    ) -> control_pb2.ServerInfo:
        """The sizes of all endpoints together."""
        ...

    async def GetModelInfo(  # noqa: N802
        self, request: control_pb2.GetModelInfoRequest, context: Any
    ) -> control_pb2.ModelInfo:
        """The first endpoint's model."""
        ...

    async def Abort(  # noqa: N802
        self, request: control_pb2.AbortRequest, context: Any
    ) -> control_pb2.AbortResponse:
        """Ends requests where they run."""
        ...


class Tokenizer(Protocol):
    """The router's own spillway.v1.Tokenizer."""

    def ReadTokenizer(  # noqa: N802
        self, request: ReadTokenizerRequest, context: Any
    ) -> AsyncIterator[TokenizerPiece]:
        """The files of an endpoint."""
        ...


class EngineFace:
    """The methods; wire.engine.service says why they are called so."""

    def __init__(
        self,
        inference: Inference,
        control: Control,
        tokenizer: Tokenizer,
        callers: Callers,
        roster: Roster,
        serves: Callable[[], bool],
        report: Callable[[], LoadReport],
        deadline_s: float,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`deadline_s` is of answers without one of their own."""
        self._inference = inference
        self._control = control
        self._tokenizer = tokenizer
        self._callers = callers
        self._roster = roster
        self._serves = serves
        self._report = report
        self._deadline_s = deadline_s
        self._clock_s = clock_s
        self._begun_s = clock_s()
        self._loads = Loads()
        self._archive: tuple[tuple[str, str], bytes] = (("", ""), b"")  # the latest one
        self._archiving = asyncio.Lock()

    async def EngineGenerate(self, request: pb.GenerateRequest | Malformed, context: Any) -> None:  # noqa: N802
        """The answer, chunk by chunk or whole, as a call of the router's own."""
        try:
            asked = message_of(request)
            served = find(self._roster, "", self._tenant(context))
            generation = read_generate(asked, _context_tokens(served, asked), served.model)
            said = Answer(asked)

            async def take(message: GenerateResponse) -> None:
                for told in said.take(message):
                    await context.write(told)

            remaining: float | None = context.time_remaining()
            deadline_s = self._deadline_s if remaining is None else remaining
            metadata = passed_on(dict(context.invocation_metadata() or ()))
            context.set_trailing_metadata(
                await answer(self._inference, generation, metadata, deadline_s, take)
            )
        except CallError as error:
            renamed(error).set_on(context)

    async def EngineHealthCheck(self, request: object, context: object) -> pb.HealthCheckResponse:  # noqa: N802
        """Healthy while requests are taken, and some endpoint takes them."""
        _ = request, context
        if self._serves():
            return pb.HealthCheckResponse(healthy=True)
        return pb.HealthCheckResponse(message="no endpoint takes requests, or the router drains")

    async def EngineAbort(  # noqa: N802
        self, request: pb.AbortRequest | Malformed, context: Any
    ) -> pb.AbortResponse:
        """Ends the caller's own requests: their streams finish with `abort`."""
        try:
            ids = message_of(request).request_ids
            await self._control.Abort(control_pb2.AbortRequest(request_ids=ids), context)
        except CallError as error:
            error.set_on(context)
        return pb.AbortResponse()

    async def EngineGetModelInfo(self, request: object, context: Any) -> pb.GetModelInfoResponse:  # noqa: N802
        """The first model; UNAVAILABLE while none is there."""
        _ = request
        try:
            model = await self._control.GetModelInfo(control_pb2.GetModelInfoRequest(), context)
            if not model.served_model_name:
                return pb.GetModelInfoResponse()
            served = find(self._roster, "", self._tenant(context))
        except CallError as error:
            error.set_on(context)
            return pb.GetModelInfoResponse()
        longest = max(served.contexts, default=0)
        return pb.GetModelInfoResponse(
            model_path=model.model_id or model.served_model_name,
            is_generation=True,
            max_context_length=longest,
            served_model_name=served.model,
            max_req_input_len=max(0, longest - 1),
        )

    async def EngineGetServerInfo(self, request: object, context: Any) -> pb.GetServerInfoResponse:  # noqa: N802
        """The sizes of all endpoints together; UNAVAILABLE while none is there."""
        _ = request
        server = await self._control.GetServerInfo(control_pb2.GetServerInfoRequest(), context)
        return pb.GetServerInfoResponse(
            uptime_seconds=self._clock_s() - self._begun_s,
            server_type=SERVER_TYPE,
            data_parallel_size=1,
            block_size=server.kv_block_size,
            max_num_seqs=server.max_running_requests,
        )

    async def EngineGetLoads(  # noqa: N802
        self, request: pb.GetLoadsRequest | Malformed, context: Any
    ) -> pb.GetLoadsResponse:
        """What the endpoints report, added up."""
        try:
            asked = message_of(request)
        except CallError as error:
            error.set_on(context)
            return pb.GetLoadsResponse()
        return self._loads.response(asked, self._report(), VERSION, self._clock_s())

    async def EngineGetTokenizer(  # noqa: N802
        self, request: GetTokenizerRequest | Malformed, context: Any
    ) -> AsyncIterator[GetTokenizerChunk]:
        """The files of an endpoint that serves the model, as an archive."""
        _ = request
        archive = b""
        try:
            # One at a time: it takes memory, and seconds of a core. Who is slow holds up no others.
            async with asyncio.timeout(ARCHIVE_S), self._archiving:
                archive = await self._archived(self._model(context), context)
        except TimeoutError:
            late = f"no endpoint gave the tokenizer within {ARCHIVE_S:g} s"
            failure(grpc.StatusCode.DEADLINE_EXCEEDED, late).set_on(context)
        except CallError as error:
            error.set_on(context)
        for chunk in chunks_of(archive):
            yield chunk

    async def _archived(self, model: str, context: Any) -> bytes:
        """The archive of a model's files; empty where the call has been told why there is none."""
        endpoints = self._roster.serving(model)
        key = (model, endpoints[0].follower.engine.tokenizer if endpoints else "")
        if key[1] and self._archive[0] == key:
            return self._archive[1]
        files: dict[str, bytearray] = {}
        pieces = self._tokenizer.ReadTokenizer(ReadTokenizerRequest(model=model), context)
        async for piece in pieces:
            files.setdefault(piece.file, bytearray()).extend(piece.content)
        if not files or context.code() not in {None, 0, grpc.StatusCode.OK}:
            return b""
        made = await asyncio.to_thread(archive_of, {name: bytes(b) for name, b in files.items()})
        self._archive = (key, made)
        return made

    def _model(self, context: Any) -> str:
        try:
            return find(self._roster, "", self._tenant(context)).model
        except CallError:
            return ""

    def _tenant(self, context: Any) -> Tenant | None:
        caller = self._callers.of(context.invocation_metadata() or ())
        return self._callers.tenants.get(caller.tenant)


def _context_tokens(served: Served, asked: pb.GenerateRequest) -> int:
    """The context to fill where a request names no limit; 0 where it is not known.

    Endpoints may differ: it is the smallest that the prompt fits, and where it fits none, the
    largest, by which it is refused.
    """
    prompt, contexts = len(asked.tokenized.input_ids), served.contexts
    fitting: Sequence[int] = [context for context in contexts if context > prompt]
    return min(fitting) if fitting else max(contexts, default=0)
