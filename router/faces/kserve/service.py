"""The service inference.GRPCInferenceService of a router."""

from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import grpc

from router.faces.call import Inference, answer
from router.faces.kserve.answer import Answer
from router.faces.kserve.conversation import Conversation
from router.faces.kserve.errors import renamed
from router.faces.kserve.model import model_config, model_metadata, server_metadata
from router.faces.kserve.request import VERSION, check_version, read_asked
from router.faces.kserve.tensors import STREAM
from router.faces.models import names
from router.faces.passing import passed_on
from router.live.callers import Callers
from router.live.roster import Roster
from router.live.settings import RouterSettings
from router.policy.fleet import Tenant
from wire.kserve import inference_pb2 as pb
from wire.kserve.inference_pb2_grpc import GRPCInferenceServiceServicer
from wire.status import CallError, bad_field, overloaded
from wire.vllm.inference_pb2 import GenerateResponse

SERVICE: Final = "inference.GRPCInferenceService"

_RETRY_AFTER_NS: Final = 1_000_000_000


class KServe(GRPCInferenceServiceServicer):
    """Answers, whole and streamed; what is served, and whether it is."""

    def __init__(
        self,
        inference: Inference,
        callers: Callers,
        roster: Roster,
        serves: Callable[[], bool],
        settings: RouterSettings,
    ) -> None:
        self._inference = inference
        self._callers = callers
        self._roster = roster
        self._serves = serves
        self._deadline_s = settings.default_deadline_s
        self._streams_max = settings.streams_max
        self._streams = 0

    async def ServerLive(self, request: Any, context: Any) -> pb.ServerLiveResponse:  # noqa: N802 - the wire's name
        """It answers, so it lives."""
        _ = request, context
        return pb.ServerLiveResponse(live=True)

    async def ServerReady(self, request: Any, context: Any) -> pb.ServerReadyResponse:  # noqa: N802 - the wire's name
        """Whether requests are taken, and some endpoint takes them."""
        _ = request, context
        return pb.ServerReadyResponse(ready=self._serves())

    async def ModelReady(  # noqa: N802 - the wire's name
        self, request: pb.ModelReadyRequest, context: Any
    ) -> pb.ModelReadyResponse:
        """Whether a model is served."""
        ready = self._serves() and request.name in names(self._roster, self._tenant(context))
        return pb.ModelReadyResponse(ready=ready and request.version in {"", VERSION})

    async def ServerMetadata(self, request: Any, context: Any) -> pb.ServerMetadataResponse:  # noqa: N802 - the wire's name
        """Which server this is."""
        _ = request, context
        return server_metadata()

    async def ModelMetadata(  # noqa: N802 - the wire's name
        self, request: pb.ModelMetadataRequest, context: Any
    ) -> pb.ModelMetadataResponse:
        """The tensors of a model; NOT_FOUND for one that is not served."""
        if not self._knows(request, context):
            return pb.ModelMetadataResponse()
        return model_metadata(request.name)

    async def ModelConfig(  # noqa: N802 - the wire's name
        self, request: pb.ModelConfigRequest, context: Any
    ) -> pb.ModelConfigResponse:
        """The same as Triton's own configuration has it."""
        if not self._knows(request, context):
            return pb.ModelConfigResponse()
        return pb.ModelConfigResponse(config=model_config(request.name))

    async def RepositoryIndex(self, request: Any, context: Any) -> pb.RepositoryIndexResponse:  # noqa: N802 - the wire's name
        """Every model, alias and adapter that is served."""
        _ = request
        index = pb.RepositoryIndexResponse()
        for name in names(self._roster, self._tenant(context)):
            index.models.add(name=name, version=VERSION, state="READY")
        return index

    async def ModelInfer(  # noqa: N802 - the wire's name
        self, request: pb.ModelInferRequest, context: Any
    ) -> pb.ModelInferResponse:
        """A whole answer, with the router's trailers."""
        metadata = passed_on(dict(context.invocation_metadata() or ()))
        try:
            asked = read_asked(
                request, self._roster, self._tenant(context), metadata, self._time_of(context)
            )
            if asked.streams:
                raise bad_field(STREAM, "must be false here; ModelStreamInfer streams")
            said = Answer(request, asked)

            async def take(message: GenerateResponse) -> None:
                said.add(message)

            context.set_trailing_metadata(
                await answer(
                    self._inference, asked.generation, metadata, asked.deadline_s, take, said
                )
            )
        except CallError as error:
            renamed(error).set_on(context)
            return pb.ModelInferResponse()
        return said.response()

    async def ModelStreamInfer(  # noqa: N802 - the wire's name
        self, requests: AsyncIterator[pb.ModelInferRequest], context: Any
    ) -> None:
        """Requests and answers until the client has no more."""
        if self._streams >= self._streams_max:
            overloaded(
                f"{self._streams} streams are open, the most that this router takes (streams_max)",
                _RETRY_AFTER_NS,
            ).set_on(context)
            return
        metadata = passed_on(dict(context.invocation_metadata() or ()))
        self._streams += 1
        try:
            tenant = self._tenant(context)
            conversation = Conversation(
                self._inference, self._roster, tenant, metadata, self._deadline_s
            )
            await conversation.run(requests, context)
        finally:
            self._streams -= 1

    def _tenant(self, context: Any) -> Tenant | None:
        """Whose terms bound what is there; nobody's where nobody proves whose it is."""
        caller = self._callers.of(context.invocation_metadata() or ())
        return self._callers.tenants.get(caller.tenant)

    def _time_of(self, context: Any) -> float:
        remaining: float | None = context.time_remaining()
        return self._deadline_s if remaining is None else remaining

    def _knows(
        self, request: pb.ModelMetadataRequest | pb.ModelConfigRequest, context: Any
    ) -> bool:
        """Whether a model is served in this version; the call is told where it is not."""
        try:
            check_version("version", request.version)
            if request.name not in names(self._roster, self._tenant(context)):
                raise bad_field("name", "is not served here", grpc.StatusCode.NOT_FOUND)
        except CallError as error:
            error.set_on(context)
            return False
        return True
