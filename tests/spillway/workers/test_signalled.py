"""SIGHUP to a router of several workers: one of them reloads it."""

from router.live.settings import RouterSettings
from spillway.fleet import FleetFile
from spillway.workers.supervisor import Supervisor
from spillway.workers.words import Signalled
from tests.spillway.workers.test_share import FLEET


class Worker:
    """One that serves, as far as its supervisor knows."""

    process = None
    is_serving = True

    def __init__(self, *, ended=False):
        self.ended = ended
        self.heard = []

    def say(self, word):
        if self.ended:
            raise BrokenPipeError
        self.heard.append(word)


async def test_a_worker_that_has_just_ended_takes_no_signal_and_not_the_router_with_it():
    """The next one has it; where none is left, that is said."""
    supervisor = Supervisor(FleetFile(FLEET, (), RouterSettings()), 2)
    first, second = Worker(ended=True), Worker()
    supervisor._kept = [Worker(), first, second]
    assert await supervisor.reload_on_signal() == ""
    assert second.heard == [Signalled()]
    second.ended = True
    assert "no worker serves" in await supervisor.reload_on_signal()
    await supervisor.stop()
