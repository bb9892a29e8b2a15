"""SIGKILL of a router, a gateway or a replica leaves the others serving new requests."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from spillway.client import SyncClient
from spillway.local.descendants import descendants
from spillway.local.fleet import LocalFleet
from spillway.local.reporter import Silent
from spillway.local.site import LocalSite
from spillway.local.two_sites import HOME, RENTED, fake_engine, two_sites
from tests.spillway.local.asking import DEADLINE_S, count, count_until
from wire.spillway.v1.fleet_pb2 import FleetState

pytestmark = [pytest.mark.live, pytest.mark.slow]


@pytest.fixture(scope="module")
def fleet() -> Iterator[LocalFleet]:
    """Two sites whose engines count, and a router: what dies here is not the engine's matter."""
    with LocalFleet(two_sites(fake_engine()), Silent()) as fleet:
        fleet.start()
        yield fleet


def replica_pid(site: LocalSite) -> int:
    """The process of the site's only replica."""
    for pid, _ in descendants(site.kept.pid):
        if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"ray::ServeReplica"):
            return pid
    raise AssertionError(f"{site.name} has no replica")


def test_a_killed_replica_is_replaced_while_the_other_site_serves(fleet: LocalFleet):
    """The next request goes elsewhere at once, and home is used again when its replica is back."""
    with SyncClient(fleet.address) as client:
        assert count(client) == HOME
        before = replica_pid(fleet.sites[HOME])
        os.kill(before, signal.SIGKILL)
        assert count(client) == RENTED
        count_until(client, HOME)
    assert replica_pid(fleet.sites[HOME]) != before


def test_a_killed_router_leaves_the_sites_serving(fleet: LocalFleet):
    """A replica speaks the same API; another router takes the place of the first."""
    kept = fleet.router.kept
    (child,) = [pid for pid, parent in descendants(kept.pid) if parent == kept.pid]
    os.kill(child, signal.SIGKILL)
    assert kept.wait(DEADLINE_S) == signal.SIGKILL
    with SyncClient(fleet.sites[HOME].replica_addresses()[0]) as client:
        assert client.generate("7", max_new_tokens=2).text == " 8"
    fleet.start_router(fleet.plan)
    with SyncClient(fleet.address) as client:
        assert count(client) == HOME


def behind(state: FleetState) -> list[tuple[int, int]]:
    """How many endpoints each gateway has, and how many of them are up."""
    ends = [end for site in state.sites for end in site.endpoints]
    return [(end.endpoints_up, end.endpoints) for end in ends]


def test_gateways_stand_in_front_of_the_sites(fleet: LocalFleet):
    """The router reaches replicas through them alone; one that is killed is started again."""
    for site in fleet.plan.sites:
        fleet.start_gateway(site)
    fleet.start_router(fleet.plan)
    with SyncClient(fleet.address) as client:
        # Both have said what is behind them: to wait for it ends with the test's own time.
        assert any(behind(state) == [(1, 1), (1, 1)] for state in client.watch_fleet())
        assert count(client) == HOME
        gateway = fleet.gateways[HOME].kept
        (child,) = [pid for pid, parent in descendants(gateway.pid) if parent == gateway.pid]
        os.kill(child, signal.SIGKILL)
        assert gateway.wait(DEADLINE_S) == signal.SIGKILL
        count_until(client, RENTED)
        fleet.start_gateway(fleet.plan.sites[0])
        count_until(client, HOME)
