"""Live: the wall clock says when a site's lease ends, and the router leaves it before."""

import dataclasses

from router.live.settings import DecisionLog
from router.live.site_leases import SiteLeases
from router.observe.decision_log import read_log
from router.observe.event import SiteLeaseChanged
from router.observe.replay import replay
from router.policy.fleet import Fleet, Site, SiteKind, SloClass
from router.policy.units import NS_PER_S
from tests.router.live.conftest import CLOUD, SETTINGS, address, ask, engine, fleet_of, route

UNTIL = 1_000_000 * NS_PER_S
FLEET = Fleet(
    (Site("home", SiteKind.HOME), Site("ridge", SiteKind.RENTED, lease_until_unix_ns=UNTIL)),
    (SloClass("chat", NS_PER_S, NS_PER_S),),
    "chat",
)


class Core:
    """Notes what it is told."""

    def __init__(self):
        self.told = []

    def tell(self, happening):
        self.told.append(happening)


def test_the_core_is_told_when_the_drain_begins_and_of_nothing_twice():
    """Once; and again where the clock goes back, as after a correction."""
    core, clock = Core(), [0]
    leases = SiteLeases(core, FLEET, 30.0, lambda: clock[0])
    margin_ns = FLEET.limits.site_lease_margin_ns
    for at_ns in (0, UNTIL - 30 * NS_PER_S - margin_ns - 1, UNTIL - margin_ns, UNTIL, 2 * UNTIL, 0):
        clock[0] = at_ns
        leases.look()
    assert core.told == [SiteLeaseChanged("ridge", True), SiteLeaseChanged("ridge", False)]


def test_a_lease_that_is_extended_lets_turns_go_there_again():
    """With the fleet file that says so."""
    core = Core()
    leases = SiteLeases(core, FLEET, 30.0, lambda: UNTIL)
    leases.look()
    home, ridge = FLEET.sites
    later = dataclasses.replace(ridge, lease_until_unix_ns=2 * UNTIL)
    leases.adopt(dataclasses.replace(FLEET, sites=(home, later)), 30.0)
    leases.look()
    assert core.told == [SiteLeaseChanged("ridge", True), SiteLeaseChanged("ridge", False)]


async def test_a_site_is_left_before_its_lease_ends_and_the_log_of_it_replays(tmp_path):
    """Its streams finish, turns go elsewhere, and the state says until when it is there."""
    path = tmp_path / "decisions.jsonl"
    settings = dataclasses.replace(SETTINGS, decision_log=DecisionLog(path))
    rented = dataclasses.replace(CLOUD, lease_until_unix_ns=UNTIL)
    clock = [0]
    async with engine(itl_s=0) as one, engine(itl_s=0) as cloud:
        fleet = fleet_of(Site("home", SiteKind.HOME), rented)
        where = {"home": [address(one)], "cloud": [address(cloud)]}
        async with route(where, settings, fleet) as routed:
            routed.router._site_leases._unix_ns = lambda: clock[0]
            await routed.state_where(lambda state: not any(site.draining for site in state.sites))
            clock[0] = UNTIL - 1
            state = await routed.state_where(lambda state: state.sites[1].draining)
            assert state.sites[1].lease_until_unix_ns == UNTIL
            await routed.stream(ask())
            sites = routed.router._core.snapshot().sites
            assert not any(site.drained for site in sites)  # what an operator has to take back
            await routed.router.drain()
    events = list(read_log(path))
    told = [e.happening for e in events if isinstance(e.happening, SiteLeaseChanged)]
    assert told[-1] == SiteLeaseChanged("cloud", True)
    assert list(replay(events)) == []
