"""How a call fails: a status code, one clear sentence, and details a program can read."""

from collections.abc import Sequence
from typing import Protocol

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, RetryInfo
from google.rpc.status_pb2 import Status

DETAILS_KEY = "grpc-status-details-bin"
"""The trailer that carries google.rpc.Status."""

MESSAGE_CHARS_MAX = 1024
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

    def set_trailing_metadata(self, metadata: list[tuple[str, str | bytes]], /) -> None:
        """Sets the trailers of the call."""
        ...

    def invocation_metadata(self) -> Sequence[tuple[str, str | bytes]]:
        """The metadata the client sent."""
        ...


class CallError(Exception):
    """Ends a call with this status."""

    def __init__(self, code: grpc.StatusCode, message: str, *details: Message) -> None:
        self.code = code
        self.message = message[:MESSAGE_CHARS_MAX]
        self.details = details
        super().__init__(f"{code.name}: {self.message}")

    def set_on(self, context: CallContext) -> None:
        """Gives the call this status; the handler then returns."""
        packed = [AnyMessage() for _ in self.details]
        for box, detail in zip(packed, self.details, strict=True):
            box.Pack(detail)
        # code.value is a pair of the number and the name.
        status = Status(code=self.code.value[0], message=self.message, details=packed)
        context.set_code(self.code)
        context.set_details(self.message)
        context.set_trailing_metadata([(DETAILS_KEY, status.SerializeToString())])


def bad_field(
    field: str, description: str, code: grpc.StatusCode = grpc.StatusCode.INVALID_ARGUMENT
) -> CallError:
    """A request that is refused for one of its fields, named by its path in the message."""
    violation = BadRequest.FieldViolation(field=field, description=description)
    return CallError(code, f"{field}: {description}", BadRequest(field_violations=[violation]))


def overloaded(message: str, retry_after_s: float) -> CallError:
    """A request that may be tried again after a while, or elsewhere at once."""
    delay = Duration()
    delay.FromNanoseconds(round(retry_after_s * 1e9))
    return CallError(grpc.StatusCode.RESOURCE_EXHAUSTED, message, RetryInfo(retry_delay=delay))
