"""The pool of connections to one address."""

import gc

from spillway.client.connections import Connections
from tests.spillway.client.collected import Collected, ends


def test_a_stream_that_is_collected_while_a_connection_opens_gives_its_own_back():
    """The collector runs in the middle of anything, and in the same thread."""
    pool = Connections(lambda at: [at, gc.collect()], "a:1", 2)
    held = pool.take()
    Collected(lambda: pool.give_back(held))
    ends(pool.take)
    assert sorted(one.calls for one in pool._all) == [0, 1]
