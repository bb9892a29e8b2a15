"""What a client says of a lease is what it saw of the stream."""

import grpc
import pytest

from spillway.client.lease_account import LeaseAccount
from wire.spillway.v1.fleet_pb2 import LeaseClaim
from wire.vllm.inference_pb2 import FinishInfo, GenerateResponse, SequenceOutput


def message(tokens, *, last=False):
    finish = FinishInfo(finish_reason=FinishInfo.STOP) if last else None
    return GenerateResponse(outputs=SequenceOutput(num_tokens=tokens, finish_info=finish))


def test_a_claim_counts_what_came_and_when():
    """The first message is timed from the beginning, and so is the end."""
    account = LeaseAccount("signed", 10.0)
    account.add(message(1), 10.25)
    account.add(message(3), 11.0)
    assert not account.is_complete
    account.add(message(2, last=True), 12.0)
    assert account.is_complete
    assert account.claim(LeaseClaim.COMPLETE, 12.5) == LeaseClaim(
        lease="signed",
        end=LeaseClaim.COMPLETE,
        messages=3,
        output_tokens=6,
        ttft_s=0.25,
        duration_s=2.5,
    )


def test_a_stream_that_never_began_has_no_first_message():
    """Its claim has the time that it took, and nothing else."""
    assert LeaseAccount("signed", 10.0).claim(LeaseClaim.CANCELLED, 11.0) == LeaseClaim(
        lease="signed", end=LeaseClaim.CANCELLED, duration_s=1.0
    )


@pytest.mark.parametrize(
    ("messages", "code", "end"),
    [
        (0, grpc.StatusCode.RESOURCE_EXHAUSTED, LeaseClaim.REFUSED),
        (0, grpc.StatusCode.UNAVAILABLE, LeaseClaim.BROKE_OFF),
        (1, grpc.StatusCode.RESOURCE_EXHAUSTED, LeaseClaim.BROKE_OFF),
    ],
)
def test_only_a_stream_that_an_endpoint_did_not_begin_was_refused(messages, code, end):
    """A connection that breaks refuses nothing, and what has begun can only break off."""
    account = LeaseAccount("signed", 10.0)
    for _ in range(messages):
        account.add(message(1), 10.5)
    account.fail(code)
    assert account.broken == end
