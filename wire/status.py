"""How a call fails: a status code, one clear sentence, and details a program can read.

The same for a replica and for a router: a client cannot tell which of them it reached.
"""

from collections.abc import Iterable, Sequence
from typing import Final, Protocol, TypeVar

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError, Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

Metadata = tuple[tuple[str, str | bytes], ...]

Detail = TypeVar("Detail", bound=Message)

DETAILS_KEY: Final = "grpc-status-details-bin"
"""The trailer that carries google.rpc.Status."""

MESSAGE_CHARS_MAX: Final = 1024
"""Trailers are limited to some 8 KB altogether, and a message may quote what a client sent."""


class CallContext(Protocol):
    """What grpc.aio's ServicerContext and Ray Serve's gRPC context have in common.

    Under Serve a handler gets a copy that is applied when it returns, so that a failure is set on
    the context before a plain return; grpc.aio understands the same.
    """

    def set_code(self, code: grpc.StatusCode, /) -> None:
        """Sets the status code of the call."""
        ...

    def set_details(self, details: str, /) -> None:
        """Sets the status message of the call."""
        ...

    def set_trailing_metadata(self, metadata: Sequence[tuple[str, str | bytes]], /) -> None:
        """Sets the trailers of the call."""
        ...

    def invocation_metadata(self) -> Sequence[tuple[str, str | bytes]] | None:
        """The metadata the client sent."""
        ...


class CallError(Exception):
    """Ends a call with this status and these trailers."""

    def __init__(self, code: grpc.StatusCode, message: str, trailers: Metadata = ()) -> None:
        self.code = code
        self.message = message
        self.trailers = trailers
        super().__init__(f"{code.name}: {message}")

    def set_on(self, context: CallContext, trailers: Metadata = ()) -> None:
        """Gives a call this status, and more trailers; its handler then returns."""
        context.set_code(self.code)
        context.set_details(self.message)
        # A list: Ray Serve's context adds it to a list of its own.
        context.set_trailing_metadata([*self.trailers, *trailers])


def failure(code: grpc.StatusCode, message: str, *details: Message) -> CallError:
    """A status with details in the richer error model."""
    message = message[:MESSAGE_CHARS_MAX]
    packed = [AnyMessage() for _ in details]
    for box, detail in zip(packed, details, strict=True):
        box.Pack(detail)
    # code.value is a pair of the number and the name.
    status = Status(code=code.value[0], message=message, details=packed)
    return CallError(code, message, ((DETAILS_KEY, status.SerializeToString()),))


def details_of(trailers: Iterable[tuple[str, str | bytes]], kind: type[Detail]) -> list[Detail]:
    """The details of one kind that the trailers of a call carry; none where they are no details."""
    raw = next((value for key, value in trailers if key == DETAILS_KEY), None)
    if not isinstance(raw, bytes):
        return []
    try:
        packed = Status.FromString(raw).details
        return [kind.FromString(one.value) for one in packed if one.Is(kind.DESCRIPTOR)]
    except DecodeError:
        return []


def reason_of(trailers: Iterable[tuple[str, str | bytes]]) -> str:
    """The reason in the details that trailers carry; empty where they name none."""
    return next((info.reason for info in details_of(trailers, ErrorInfo)), "")


def violation_of(error: CallError) -> BadRequest.FieldViolation | None:
    """The first field that a failed call's details name; None where they name none."""
    found = (one for bad in details_of(error.trailers, BadRequest) for one in bad.field_violations)
    return next(found, None)


def bad_field(
    field: str, description: str, code: grpc.StatusCode = grpc.StatusCode.INVALID_ARGUMENT
) -> CallError:
    """A request that is refused for one of its fields, or for a key of its metadata, by name."""
    violation = BadRequest.FieldViolation(field=field, description=description)
    return failure(code, f"{field}: {description}", BadRequest(field_violations=[violation]))


def overloaded(message: str, retry_after_ns: int) -> CallError:
    """A request that may be tried again after a while, or elsewhere at once."""
    return failure(grpc.StatusCode.RESOURCE_EXHAUSTED, message, retry_info(retry_after_ns))


def unavailable(message: str) -> CallError:
    """Nobody here can serve; somebody elsewhere might."""
    return failure(grpc.StatusCode.UNAVAILABLE, message)


def retry_info(retry_after_ns: int) -> RetryInfo:
    """The detail that says when to come back."""
    delay = Duration()
    delay.FromNanoseconds(retry_after_ns)
    return RetryInfo(retry_delay=delay)
