"""What an endpoint's status says of an attempt."""

import grpc
import pytest

from router.live.attempt import failure_of
from router.policy.outcome import End

FULL = grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize(
    ("details", "end"),
    [
        ("1024 requests are in flight", End.OVERLOADED),
        ("SERVER: Received message larger than max (9 vs. 8)", End.REJECTED),
        ("CLIENT: Received message larger than max (9 vs. 8)", End.REJECTED),
    ],
)
def test_a_message_that_is_too_large_is_the_senders_fault_and_not_overload(details, end):
    """As overload, it would be tried at every endpoint and each be left alone for it."""
    error = grpc.aio.AioRpcError(FULL, grpc.aio.Metadata(), grpc.aio.Metadata(), details)
    assert failure_of(error).end is end
