"""A call of vllm.Inference made inside the router, on behalf of a client of another API."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

import grpc
from google.protobuf.message import DecodeError

from wire.status import CallError, Metadata, failure
from wire.vllm.inference_pb2 import GenerateRequest, GenerateResponse

_DEADLINE_SLACK_S: Final = 0.5
"""What the router's own end of a call at its deadline gets to come first."""

Take = Callable[[GenerateResponse], Awaitable[None]]
"""Gets the messages of an answer one by one; the next one is asked for when it has returned."""


class MadeFor(Protocol):
    """Who hears which model answers a request."""

    remakes: bool
    """Whether the request's token ids are made anew for that model."""

    async def made_for(self, model: str) -> GenerateRequest | None:
        """This model answers, as the asked one where it is empty; the request made for it.

        None where it stays as it is. Raises CallError where it cannot be made for this model.
        """
        ...


class Inference(Protocol):
    """The router's own vllm.Inference."""

    async def generate_stream(self, raw: bytes, context: Any) -> None:
        """Answers a call, message by message, by writing to its context."""
        ...


async def answer(
    inference: Inference,
    request: GenerateRequest,
    metadata: Metadata,
    deadline_s: float,
    take: Take,
    made: MadeFor | None = None,
) -> Metadata:
    """Has a request answered to its end; the trailers. Whatever `take` raises ends the call.

    `made` hears of the model before its first message.

    Raises CallError where it does not end well; ConnectionError where `take` finds nobody there.
    """
    call = InProcessCall(metadata, deadline_s, take, made)
    try:
        async with asyncio.timeout(deadline_s + _DEADLINE_SLACK_S):
            await inference.generate_stream(request.SerializeToString(), call)
    except TimeoutError as error:
        message = f"the answer took longer than {deadline_s:g} s"
        raise failure(grpc.StatusCode.DEADLINE_EXCEEDED, message) from error
    except DecodeError as error:
        message = "the endpoint sent what is no message"
        raise failure(grpc.StatusCode.INTERNAL, message) from error
    call.raise_for_status()
    return call.trailers


class InProcessCall:
    """What a handler of gRPC takes for its context."""

    def __init__(
        self, metadata: Metadata, deadline_s: float, take: Take, made: MadeFor | None = None
    ) -> None:
        self._made = made
        self._metadata = metadata
        self._deadline_s = deadline_s
        self._take = take
        self._code = grpc.StatusCode.OK
        self._details = ""
        self.trailers: Metadata = ()

    @property
    def remakes(self) -> bool:
        """See MadeFor."""
        return self._made is not None and self._made.remakes

    async def remake(self, model: str) -> bytes | None:
        """See MadeFor.made_for; the request's bytes."""
        made = None if self._made is None else await self._made.made_for(model)
        return None if made is None else made.SerializeToString()

    def invocation_metadata(self) -> Metadata:
        """What came with the request."""
        return self._metadata

    def time_remaining(self) -> float:
        """What the whole answer may take, in seconds."""
        return self._deadline_s

    async def send_initial_metadata(self, _metadata: Any) -> None:
        """Where the answer comes from, which other APIs have no place for."""

    async def write(self, message: bytes) -> None:
        """Hands a message on; what that raises ends the call."""
        await self._take(GenerateResponse.FromString(message))

    def set_code(self, code: grpc.StatusCode) -> None:
        """See wire.status.CallContext."""
        self._code = code

    def set_details(self, details: str) -> None:
        """See wire.status.CallContext."""
        self._details = details

    def set_trailing_metadata(self, metadata: Any) -> None:
        """See wire.status.CallContext."""
        self.trailers = tuple(metadata)

    def raise_for_status(self) -> None:
        """Raises CallError where the call did not end well."""
        if self._code is not grpc.StatusCode.OK:
            raise CallError(self._code, self._details, self.trailers)
