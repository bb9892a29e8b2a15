"""Errors as OpenAI's clients expect them: an HTTP status, and a message they can act on."""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import grpc
from google.rpc.error_details_pb2 import RetryInfo
from pydantic import ValidationError

from router.faces.parameters import parameter_of, problem_of
from wire.status import CallError, details_of, violation_of

_INVALID: Final = "invalid_request_error"
_SERVER: Final = "server_error"

_STATUS_OF: Final = {
    grpc.StatusCode.INVALID_ARGUMENT: (400, _INVALID, None),
    grpc.StatusCode.OUT_OF_RANGE: (400, _INVALID, None),
    grpc.StatusCode.FAILED_PRECONDITION: (400, _INVALID, None),
    grpc.StatusCode.UNAUTHENTICATED: (401, "authentication_error", "invalid_api_key"),
    grpc.StatusCode.PERMISSION_DENIED: (403, "permission_error", None),
    grpc.StatusCode.NOT_FOUND: (404, _INVALID, "model_not_found"),
    grpc.StatusCode.ALREADY_EXISTS: (409, _INVALID, None),
    grpc.StatusCode.RESOURCE_EXHAUSTED: (429, "rate_limit_error", "rate_limit_exceeded"),
    grpc.StatusCode.CANCELLED: (499, _SERVER, "cancelled"),
    grpc.StatusCode.UNIMPLEMENTED: (501, _INVALID, "unsupported"),
    grpc.StatusCode.ABORTED: (502, _SERVER, "answer_broke_off"),
    grpc.StatusCode.UNAVAILABLE: (503, _SERVER, "unavailable"),
    grpc.StatusCode.DEADLINE_EXCEEDED: (504, _SERVER, "timeout"),
}
"""HTTP's status, OpenAI's type and its code; 500 for every other status."""


class ApiError(Exception):
    """Ends a request with this status and body."""

    def __init__(
        self,
        status: int,
        message: str,
        param: str | None = None,
        *,
        kind: str = _INVALID,
        code: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s
        self.error: dict[str, Any] = {
            "message": message,
            "type": kind,
            "param": param,
            "code": code,
        }

    @property
    def body(self) -> bytes:
        """The error as JSON."""
        return json.dumps({"error": self.error}).encode()

    @property
    def headers(self) -> dict[str, str]:
        """When to come back, as HTTP says it and as OpenAI's clients read it more finely."""
        if self.retry_after_s is None:
            return {}
        return {
            "Retry-After": str(math.ceil(self.retry_after_s)),
            "Retry-After-Ms": str(math.ceil(self.retry_after_s * 1_000)),
        }


def bad_parameter(param: str, problem: str) -> ApiError:
    """A request that is refused for one of its parameters."""
    return ApiError(400, f"{param}: {problem}", param)


def of_call(error: CallError, prompt: str) -> ApiError:
    """What a client is told of a failed call; `prompt` is the parameter that has the prompt."""
    status, kind, code = _STATUS_OF.get(error.code, (500, _SERVER, None))
    message, param, retry_after_s = error.message, None, None
    violation = violation_of(error)
    if violation is not None:
        param = parameter_of(
            violation.field, prompt=prompt, session="user", shape="response_format"
        )
        message = f"{param or violation.field}: {violation.description}"
    for retry in details_of(error.trailers, RetryInfo):
        retry_after_s = retry.retry_delay.ToTimedelta().total_seconds()
    if status == 404 and param != "model":
        code = None
    return ApiError(status, message, param, kind=kind, code=code, retry_after_s=retry_after_s)


@contextmanager
def refused_as(prompt: str) -> Iterator[None]:
    """Turns what is wrong with a request into ApiError; `prompt` is as for `of_call`."""
    try:
        yield
    except CallError as error:
        raise of_call(error, prompt) from error


def of_validation(error: ValidationError) -> ApiError:
    """A body that is no request: the first thing that is wrong with it."""
    param, problem = problem_of(error)
    return ApiError(400, f"{param or 'the body'}: {problem}", param or None)
