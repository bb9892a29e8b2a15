"""The pool of connections to one address."""

import gc

import pytest

from spillway.client.connections import Connections
from spillway.client.errors import CancelledError
from tests.spillway.client.collected import Collected, ends


def test_a_stream_that_is_collected_while_a_connection_opens_gives_its_own_back():
    """The collector runs in the middle of anything, and in the same thread."""
    pool = Connections(lambda at: [at, gc.collect()], "a:1", 2)
    held = pool.take()
    Collected(lambda: pool.give_back(held))
    ends(pool.take)
    assert sorted(one.calls for one in pool._all) == [0, 1]


def test_a_closed_pool_opens_no_more():
    """A stream that another thread begins, or resumes, as the client is closed leaves nothing."""
    opened = []
    pool = Connections(lambda at: opened.append(at) or at, "a:1", 2)
    held = pool.take()
    assert pool.close() == ["a:1"]
    with pytest.raises(CancelledError, match="closed"):
        pool.take()
    pool.give_back(held)
    assert opened == ["a:1"]
    assert pool.close() == []
