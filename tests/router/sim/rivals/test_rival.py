"""What all rivals have in common: counts, retries, and leaving alone what is down."""

import pytest

from router.policy.decision import Refuse
from router.policy.fleet import Fleet, Site, SiteKind, SloClass
from router.policy.outcome import End
from router.policy.units import NS_PER_MS, NS_PER_S
from router.sim.rivals.registry import OURS, POLICIES
from tests.router.sim.rivals.driver import Driver, blocks

FLEET = Fleet(
    sites=(Site("home", SiteKind.HOME), Site("far", SiteKind.RENTED)),
    slo_classes=(SloClass("default", NS_PER_S, 100 * NS_PER_MS),),
    default_slo="default",
)
RIVALS = sorted(POLICIES.keys() - {OURS})


@pytest.mark.parametrize("name", RIVALS)
def test_in_flight_returns_to_zero(name):
    """After successes, cuts and failures, with retries, nothing is left in flight."""
    driver = Driver(POLICIES[name](FLEET), "home/0", "home/1", "far/0")
    sent = [driver.send(prefix=blocks(i % 3), session=f"s{i}") for i in range(30)]
    for index, send in enumerate(sent):
        if index % 3 == 0:
            driver.finish(send)
        elif index % 3 == 1:
            driver.first(send)
            assert isinstance(driver.end(send, End.FAILED), Refuse)
        else:
            again = driver.end(send, End.UNREACHABLE, messages=0)
            while not isinstance(again, Refuse):
                assert again.endpoint != send.endpoint
                again = driver.end(again, End.UNREACHABLE, messages=0)
    assert set(driver.rival.in_flight.values()) == {0}
    driver.now += 300 * NS_PER_S
    driver.rival.on_tick(driver.now)
    driver.finish(driver.send())


@pytest.mark.parametrize("name", RIVALS)
def test_what_is_down_or_draining_is_left_alone(name):
    """A lost endpoint gets nothing, and again something once it is back."""
    driver = Driver(POLICIES[name](FLEET), "home/0", "home/1", "far/0")
    driver.finish(driver.send(prefix=blocks(1), session="s"))
    driver.rival.on_connection("home/0", False, 0)
    driver.rival.on_drain("far", True, 0)
    assert set(driver.sends(10, prefix=blocks(1), session="s")) == {"home/1"}
    driver.rival.on_connection("home/1", False, 0)
    assert isinstance(driver.decide(driver.request()), Refuse)
    driver.rival.on_connection("home/0", True, 0)
    assert driver.send().endpoint == "home/0"
