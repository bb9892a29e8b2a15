"""What a record says of its session."""

import pytest

from router.sim.record import TurnRecord


@pytest.mark.parametrize(
    ("previous", "endpoint", "refused", "moved"),
    [
        ("", "home/0", "", False),  # a first turn
        ("home/0", "home/0", "", False),
        ("home/0", "far/0", "", True),
        ("home/0", "far/0", "no_retry", False),  # nobody answered
    ],
)
def test_a_session_moves_when_another_endpoint_answers(previous, endpoint, refused, moved):
    """A turn that fails moves nothing."""
    record = TurnRecord("s", 1, 0, 10, 10, endpoint=endpoint, previous=previous, refused=refused)
    assert record.moved is moved
