"""How many calls may go on until their caller leaves."""

import contextlib

import grpc
import pytest

from router.live.watches import Watches
from wire.status import CallError


def test_there_are_so_many_and_one_that_ends_makes_room():
    """However it ends."""
    watches = Watches(1)
    for _ in range(3):
        with contextlib.suppress(RuntimeError), watches.one():
            with pytest.raises(CallError) as caught, watches.one():
                pass
            assert caught.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert "watches_max" in caught.value.message
            raise RuntimeError
