"""What can go wrong with a call, as exceptions made from its gRPC status."""

from dataclasses import dataclass

import grpc
from google.rpc.error_details_pb2 import BadRequest, RetryInfo

from spillway.client.ending import Ending, Pairs, ending_of
from wire.status import details_of


@dataclass(frozen=True, slots=True)
class Violation:
    """A field of the request that is wrong, by its path in the message, and why."""

    field: str
    description: str


class SpillwayError(Exception):
    """A call that failed. `ending` says which request it was, and where it ran if it did."""

    def __init__(
        self,
        message: str,
        code: grpc.StatusCode = grpc.StatusCode.UNKNOWN,
        *,
        ending: Ending | None = None,
        violations: tuple[Violation, ...] = (),
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.ending = ending or Ending()
        self.violations = violations
        self.retry_after_s = retry_after_s


class BadRequestError(SpillwayError):
    """The request cannot be served by anybody: `violations` names its fields."""


class NotFoundError(SpillwayError):
    """Something that the request names does not exist: a model, an adapter, a site."""


class UnauthenticatedError(SpillwayError):
    """The server wants to know who asks, or does not know these credentials."""


class PermissionDeniedError(SpillwayError):
    """Whoever asks may not ask for this."""


class DuplicateRequestError(SpillwayError):
    """A request of the same id is in flight."""


class OverloadedError(SpillwayError):
    """Nobody can serve the request in time; try again after `retry_after_s` seconds."""


class UnavailableError(SpillwayError):
    """Nobody answers at the address, or no site can be reached from there."""


class DeadlineError(SpillwayError):
    """The deadline passed before the answer was complete."""


class CancelledError(SpillwayError):
    """The call was cancelled, by the server or by something between it and the client."""


class AbortedError(SpillwayError):
    """The answer broke off and cannot be continued honestly."""


class UnsupportedError(SpillwayError):
    """The server at the address does not offer this: a replica has no fleet to watch."""


class ServerError(SpillwayError):
    """The server failed in a way it has no better word for."""


_BY_CODE: dict[grpc.StatusCode, type[SpillwayError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: BadRequestError,
    grpc.StatusCode.OUT_OF_RANGE: BadRequestError,
    grpc.StatusCode.FAILED_PRECONDITION: BadRequestError,
    grpc.StatusCode.NOT_FOUND: NotFoundError,
    grpc.StatusCode.UNAUTHENTICATED: UnauthenticatedError,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDeniedError,
    grpc.StatusCode.ALREADY_EXISTS: DuplicateRequestError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: OverloadedError,
    grpc.StatusCode.UNAVAILABLE: UnavailableError,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineError,
    grpc.StatusCode.CANCELLED: CancelledError,
    grpc.StatusCode.ABORTED: AbortedError,
    grpc.StatusCode.UNIMPLEMENTED: UnsupportedError,
}

_TOO_LARGE = "message larger than max"  # gRPC's own words, on either side
_NOBODY_THERE = ("failed to connect", "errors resolving", "DNS resolution failed")  # and these


def is_nobody_there(details: str) -> bool:
    """Whether gRPC says, by a call's details, that it found nobody at an address to connect to."""
    return any(words in details for words in _NOBODY_THERE)


def error_of(error: grpc.RpcError, address: str, request_id: str = "") -> SpillwayError:
    """The exception for how a call to this address failed, with what its details say.

    `error` is what gRPC raised, in a coroutine or in a thread; `request_id` is the client's, for
    where the server tells none.
    """
    code, details = error.code(), error.details() or ""
    trailers = tuple(error.trailing_metadata() or ())
    kind = _BY_CODE.get(code, ServerError)
    if kind is OverloadedError and _TOO_LARGE in details:
        kind = BadRequestError  # to wait will not help
    return kind(
        _message(code, details, address),
        code,
        ending=ending_of(trailers, request_id),
        violations=tuple(
            Violation(one.field, one.description)
            for bad in details_of(trailers, BadRequest)
            for one in bad.field_violations
        ),
        retry_after_s=retry_after_s_of(trailers),
    )


def retry_after_s_of(trailers: Pairs) -> float | None:
    """How many seconds to wait before asking again, where the trailers of a call say so."""
    retries = details_of(trailers, RetryInfo)
    return retries[0].retry_delay.ToNanoseconds() / 1e9 if retries else None


def _message(code: grpc.StatusCode, details: str, address: str) -> str:
    if code is grpc.StatusCode.UNAVAILABLE and is_nobody_there(details):
        return f"nobody answers at {address}: {details.rpartition(': ')[2].rstrip(']')}"
    if _TOO_LARGE in details:
        return f"too large a message between here and {address}: {details}"
    if code is grpc.StatusCode.DEADLINE_EXCEEDED and details in {"", "Deadline Exceeded"}:
        return f"the server at {address} did not answer in time"
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return f"the server at {address} does not offer this ({details})"
    return details or f"the server at {address} answered {code.name}"
