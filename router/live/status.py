"""How a call fails: a status code, one clear sentence, and details a program can read."""

from collections.abc import Iterable
from typing import Any, Final

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from router.policy.decision import Refuse, Rule

Metadata = tuple[tuple[str, str | bytes], ...]

DETAILS_KEY: Final = "grpc-status-details-bin"
"""The trailer that carries google.rpc.Status."""

_MESSAGE_CHARS_MAX: Final = 1024
"""Trailers are limited to some 8 KB altogether, and a message may quote what a client sent."""

_CODE_OF: Final = {
    Rule.UNKNOWN_MODEL: grpc.StatusCode.NOT_FOUND,
    Rule.UNKNOWN_SLO: grpc.StatusCode.INVALID_ARGUMENT,
    Rule.OVERLOAD: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Rule.DEADLINE: grpc.StatusCode.DEADLINE_EXCEEDED,
}
"""UNAVAILABLE for every other rule."""

_FIELD_OF: Final = {Rule.UNKNOWN_MODEL: "model", Rule.UNKNOWN_SLO: "x-spillway-slo"}


class CallError(Exception):
    """Ends a call with this status and these trailers."""

    def __init__(self, code: grpc.StatusCode, message: str, trailers: Metadata = ()) -> None:
        self.code = code
        self.message = message
        self.trailers = trailers
        super().__init__(f"{code.name}: {message}")

    def set_on(self, context: Any, trailers: Metadata = ()) -> None:
        """Gives a call this status, and more trailers; its handler then returns."""
        context.set_code(self.code)
        context.set_details(self.message)
        context.set_trailing_metadata((*self.trailers, *trailers))


def failure(code: grpc.StatusCode, message: str, *details: Message) -> CallError:
    """A status with details in the richer error model."""
    message = message[:_MESSAGE_CHARS_MAX]
    # code.value is a pair of the number and the name.
    status = Status(code=code.value[0], message=message, details=list(_packed(details)))
    return CallError(code, message, ((DETAILS_KEY, status.SerializeToString()),))


def bad_field(
    field: str, description: str, code: grpc.StatusCode = grpc.StatusCode.INVALID_ARGUMENT
) -> CallError:
    """A request that is refused for one of its fields or a key of its metadata."""
    violation = BadRequest.FieldViolation(field=field, description=description)
    return failure(code, f"{field}: {description}", BadRequest(field_violations=[violation]))


def overloaded(message: str, retry_after_ns: int) -> CallError:
    """A request that may be tried again after a while."""
    return failure(grpc.StatusCode.RESOURCE_EXHAUSTED, message, _retry_info(retry_after_ns))


def unavailable(message: str) -> CallError:
    """Nobody here can serve; somebody elsewhere might."""
    return failure(grpc.StatusCode.UNAVAILABLE, message)


def broken_off(message: str, messages: int, tokens: int) -> CallError:
    """An answer that ends in its middle: so much of it had reached the client."""
    delivered = {"delivered_messages": str(messages), "delivered_tokens": str(tokens)}
    info = ErrorInfo(reason="ANSWER_BROKE_OFF", domain="spillway", metadata=delivered)
    return failure(grpc.StatusCode.ABORTED, message, info)


def refused(refuse: Refuse) -> CallError:
    """What a client is told of a refusal."""
    code = _CODE_OF.get(refuse.rule, grpc.StatusCode.UNAVAILABLE)
    field = _FIELD_OF.get(refuse.rule)
    if field is not None:
        return bad_field(field, refuse.reason, code)
    if refuse.retry_after_ns:
        return failure(code, refuse.reason, _retry_info(refuse.retry_after_ns))
    return failure(code, refuse.reason)


def _retry_info(retry_after_ns: int) -> RetryInfo:
    delay = Duration()
    delay.FromNanoseconds(retry_after_ns)
    return RetryInfo(retry_delay=delay)


def _packed(details: Iterable[Message]) -> Iterable[AnyMessage]:
    for detail in details:
        box = AnyMessage()
        box.Pack(detail)
        yield box
