"""What a failed call becomes, where its status alone does not say it."""

import grpc
import pytest

from spillway.client import BadRequestError, OverloadedError
from spillway.client.errors import error_of, retry_after_s_of
from spillway.client.resumption import break_of
from tests.spillway.client.failures import failed
from wire.status import DETAILS_KEY, overloaded


def test_a_message_over_grpcs_own_limit_is_a_bad_request():
    """To wait, as for a server that is full, would not help."""
    full = grpc.StatusCode.RESOURCE_EXHAUSTED
    large = failed(full, "Sent message larger than max (70000000 vs. 67108864)")
    assert type(error_of(large, "a:1")) is BadRequestError
    assert type(error_of(failed(full), "a:1")) is OverloadedError


def test_a_message_that_is_too_large_says_so():
    """In words of ours before gRPC's, which have the sizes."""
    large = "SERVER: Received message larger than max (30000050 vs. 16777216)"
    error = error_of(failed(grpc.StatusCode.RESOURCE_EXHAUSTED, large), "a:1")
    assert str(error) == f"too large a message between here and a:1: {large}"


@pytest.mark.parametrize(
    ("details", "reason"),
    [
        (
            "failed to connect to all addresses; last error: UNKNOWN: ipv4:1: Connection refused",
            "Connection refused",
        ),
        (
            "errors resolving no:1: [field:hostname lookup error:failed: Domain name not found]",
            "Domain name not found",
        ),
        (
            "DNS resolution failed for no:1: C-ares status is not ARES_SUCCESS: not found",
            "not found",
        ),
    ],
)
def test_nobody_at_an_address_is_told_by_the_last_cause(details, reason):
    """And is nothing that broke: the answer was never asked for there."""
    nobody = failed(grpc.StatusCode.UNAVAILABLE, details)
    assert str(error_of(nobody, "a:1")) == f"nobody answers at a:1: {reason}"
    assert break_of(nobody, direct=False).refused
    assert not break_of(failed(grpc.StatusCode.UNAVAILABLE, "Socket closed"), direct=False).refused


def test_details_that_are_not_ours_leave_the_status_as_it_is():
    """A proxy may put anything there."""
    error = error_of(
        failed(grpc.StatusCode.RESOURCE_EXHAUSTED, "full", ((DETAILS_KEY, b"\xff\xff"),)), "a:1"
    )
    assert (str(error), error.violations, error.retry_after_s) == ("full", (), None)


def test_trailers_say_when_to_ask_again():
    """Also to who has no exception at hand."""
    assert retry_after_s_of(overloaded("full", 1_500_000_000).trailers) == 1.5
    assert retry_after_s_of(()) is None
