"""The supervisor's waits: whoever ends them has them ended."""

import asyncio
from multiprocessing import Pipe

import pytest

from spillway.workers.supervisor import _heard
from spillway.workers.words import Serves


@pytest.mark.parametrize("turns", range(8))
async def test_a_start_that_is_given_up_just_as_the_process_serves_is_given_up(turns):
    """Else it would be kept running by a task that nobody can end any more, and no stop would end.

    Whatever of the event loop's turns it is in which both come.
    """
    ours, theirs = Pipe()
    with ours, theirs:
        hearing = asyncio.create_task(_heard(ours))
        await asyncio.sleep(0)
        theirs.send(Serves())
        for _ in range(turns):
            await asyncio.sleep(0)
        over = hearing.done()
        hearing.cancel()
        await asyncio.wait({hearing})
        assert hearing.cancelled() is not over
