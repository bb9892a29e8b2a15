"""What a failed call becomes, where its status alone does not say it."""

import grpc

from spillway.client import BadRequestError, OverloadedError
from spillway.client.errors import error_of, retry_after_s_of
from tests.spillway.client.failures import failed
from wire.status import DETAILS_KEY, overloaded


def test_a_message_over_grpcs_own_limit_is_a_bad_request():
    """To wait, as for a server that is full, would not help."""
    full = grpc.StatusCode.RESOURCE_EXHAUSTED
    large = failed(full, "Sent message larger than max (70000000 vs. 67108864)")
    assert type(error_of(large, "a:1")) is BadRequestError
    assert type(error_of(failed(full), "a:1")) is OverloadedError


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
