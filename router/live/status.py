"""What a client is told when the router refuses a request, or an answer ends in its middle."""

from typing import Final

import grpc
from google.rpc.error_details_pb2 import ErrorInfo, QuotaFailure

from router.policy.decision import Refuse, Rule
from wire.metadata import SLO_KEY
from wire.status import CallError, bad_field, failure, retry_info

_CODE_OF: Final = {
    Rule.UNKNOWN_MODEL: grpc.StatusCode.NOT_FOUND,
    Rule.UNKNOWN_ADAPTER: grpc.StatusCode.NOT_FOUND,
    Rule.UNKNOWN_SLO: grpc.StatusCode.INVALID_ARGUMENT,
    Rule.TOO_LONG: grpc.StatusCode.INVALID_ARGUMENT,
    Rule.OVERLOAD: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Rule.RATE: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Rule.NOT_ENTITLED: grpc.StatusCode.PERMISSION_DENIED,
    Rule.QUARANTINED: grpc.StatusCode.FAILED_PRECONDITION,
    Rule.DEADLINE: grpc.StatusCode.DEADLINE_EXCEEDED,
}
"""UNAVAILABLE for every other rule."""

_FIELD_OF: Final = {
    Rule.UNKNOWN_MODEL: "model",
    Rule.UNKNOWN_ADAPTER: "lora_name",
    Rule.UNKNOWN_SLO: SLO_KEY,
    Rule.TOO_LONG: "prompt",
}


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
    if refuse.rule in {Rule.QUARANTINED, Rule.NOT_ENTITLED}:
        info = ErrorInfo(reason=refuse.rule.name, domain="spillway")
        return failure(code, refuse.reason, info)
    if refuse.quota:
        violation = QuotaFailure.Violation(subject=refuse.quota, description=refuse.reason)
        spent = QuotaFailure(violations=[violation])
        return failure(code, refuse.reason, retry_info(refuse.retry_after_ns), spent)
    if refuse.retry_after_ns:
        return failure(code, refuse.reason, retry_info(refuse.retry_after_ns))
    return failure(code, refuse.reason)
