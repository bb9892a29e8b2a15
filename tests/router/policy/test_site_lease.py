"""A site is left before its lease ends."""

from router.policy.core import RouterCore
from router.policy.decision import Send
from router.policy.endpoint import Endpoint
from router.policy.request import Request
from router.policy.site_lease import drains_at, is_ending
from router.policy.units import NS_PER_S
from tests.router.policy.toy import MODEL, fleet

UNTIL = 1_000_000 * NS_PER_S


def test_it_drains_early_enough_for_streams_to_move_and_for_a_turn_that_cannot():
    """By the drain timeout and a margin; and stays so when it is over."""
    assert drains_at(UNTIL, 30 * NS_PER_S, 60 * NS_PER_S) == UNTIL - 90 * NS_PER_S
    times = [UNTIL - 91 * NS_PER_S, UNTIL - 90 * NS_PER_S, UNTIL, 2 * UNTIL]
    ending = [is_ending(UNTIL, 30 * NS_PER_S, 60 * NS_PER_S, at) for at in times]
    assert ending == [False, True, True, True]


def test_an_ending_lease_and_an_operator_s_drain_do_not_undo_each_other(rng):
    """Turns go there again where neither holds."""
    core = RouterCore(fleet())
    core.on_endpoint_up(Endpoint("home-0", "home", MODEL), 0)
    core.on_endpoint_up(Endpoint("rented-0", "rented", MODEL), 0)

    def sent(number):
        decision = core.on_request(Request(str(number), MODEL, prompt_tokens=1), number, rng)
        assert isinstance(decision, Send)
        return decision.site

    core.on_drain("home", True, 0)
    core.on_site_lease("home", True, 0)
    assert sent(1) == "rented"
    core.on_drain("home", False, 0)
    assert sent(2) == "rented"
    assert core.is_draining("home-0")
    home = core.snapshot(0).sites[0]
    assert (home.draining, home.drained) == (True, False)
    core.on_site_lease("home", False, 0)
    assert sent(3) == "home"
