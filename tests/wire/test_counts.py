"""Counts in metadata, which anybody may have written."""

import grpc
import pytest

from wire.counts import COUNT_DIGITS_MAX, read_count
from wire.status import CallError


def test_a_count_is_read_where_there_is_one():
    assert read_count("n", {"n": "012"}) == 12
    assert read_count("n", {"n": "9" * COUNT_DIGITS_MAX}) == 10**COUNT_DIGITS_MAX - 1
    assert read_count("n", {"m": "1"}) is None


@pytest.mark.parametrize("value", ["", "-1", "1.0", " 1", "٣", "x", b"1", "1" * 11])
def test_what_is_no_count_is_refused_by_its_key(value):
    """Digits of other scripts are none, and none may be long enough to be slow to read."""
    with pytest.raises(CallError, match="n: must") as caught:
        read_count("n", {"n": value})
    assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT
