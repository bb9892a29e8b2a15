"""SIGKILL of a whole site leaves the other serving; in a file, and so with a fleet, of its own."""

import os
import signal

import pytest

from spillway.client import SyncClient
from spillway.local.descendants import descendants
from spillway.local.fleet import LocalFleet
from spillway.local.reporter import Silent
from spillway.local.two_sites import HOME, RENTED, fake_engine, two_sites
from tests.spillway.local.asking import count

pytestmark = [pytest.mark.live, pytest.mark.slow]


def test_a_killed_site_leaves_the_other_serving():
    """Every process of its Ray cluster at once, and the one that keeps them."""
    with LocalFleet(two_sites(fake_engine()), Silent()) as fleet:
        fleet.start()
        home = fleet.sites[HOME].kept
        for pid in [home.pid, *(pid for pid, _ in descendants(home.pid))]:
            os.kill(pid, signal.SIGKILL)
        with SyncClient(fleet.address) as client:
            assert [count(client) for _ in range(3)] == [RENTED] * 3
    assert not fleet.folder.exists()
