"""A request whose placement fails goes through the router, or fails as it would there."""

import grpc
import pytest

from spillway.client import NotFoundError
from spillway.client.paths import AWAY_S, Paths
from spillway.client.placement import raise_unless_it_goes_through
from tests.spillway.client.failures import failed


@pytest.mark.parametrize("code", ["UNAVAILABLE", "CANCELLED", "UNIMPLEMENTED"])
def test_a_router_that_cannot_say_where_is_asked_for_the_answer(code):
    """Only one that has no placements is not asked for the next one, for a while."""
    paths = Paths()
    raise_unless_it_goes_through(failed(grpc.StatusCode[code]), "a:1", "mine", paths, 0.0)
    assert paths.may_ask(AWAY_S - 1) is (code != "UNIMPLEMENTED")
    assert paths.may_ask(AWAY_S)


def test_what_the_request_itself_would_get_is_raised():
    """It names the request; the router is asked for the next placement all the same."""
    paths = Paths()
    with pytest.raises(NotFoundError, match="why") as caught:
        raise_unless_it_goes_through(
            failed(grpc.StatusCode.NOT_FOUND, "why"), "a:1", "mine", paths, 0.0
        )
    assert caught.value.ending.request_id == "mine"
    assert paths.may_ask(0.0)
