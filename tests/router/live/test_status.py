"""What a client is told of a refusal."""

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, RetryInfo
from google.rpc.status_pb2 import Status

from router.live.status import refused
from router.policy.decision import Refuse, Rule
from router.policy.units import NS_PER_S
from wire.status import DETAILS_KEY


def status_of(error):
    return Status.FromString(dict(error.trailers)[DETAILS_KEY])


@pytest.mark.parametrize(
    ("rule", "code", "detail"),
    [
        (Rule.UNKNOWN_MODEL, grpc.StatusCode.NOT_FOUND, BadRequest),
        (Rule.UNKNOWN_ADAPTER, grpc.StatusCode.NOT_FOUND, BadRequest),
        (Rule.TOO_LONG, grpc.StatusCode.INVALID_ARGUMENT, BadRequest),
        (Rule.UNKNOWN_SLO, grpc.StatusCode.INVALID_ARGUMENT, BadRequest),
        (Rule.NO_ENDPOINT, grpc.StatusCode.UNAVAILABLE, RetryInfo),
        (Rule.OVERLOAD, grpc.StatusCode.RESOURCE_EXHAUSTED, RetryInfo),
        (Rule.DEADLINE, grpc.StatusCode.DEADLINE_EXCEEDED, None),
        (Rule.NO_RETRY, grpc.StatusCode.UNAVAILABLE, None),
    ],
)
def test_each_rule_has_its_status(rule, code, detail):
    retry_ns = 2 * NS_PER_S if detail is RetryInfo else 0
    error = refused(Refuse("r", rule, "because", "chat", (), retry_ns))
    status = status_of(error)
    assert error.code is code
    assert (status.code, status.message) == (code.value[0], error.message)
    assert "because" in error.message
    assert [d.Is(detail.DESCRIPTOR) for d in status.details] == ([True] if detail else [])
    if detail is RetryInfo:
        retry = RetryInfo()
        status.details[0].Unpack(retry)
        assert retry.retry_delay.ToSeconds() == 2
