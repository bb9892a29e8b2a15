"""A second site for an overdue first token: when, within which budgets, and what is left of it."""

from dataclasses import replace

import pytest

from router.policy.allowance import Granted
from router.policy.core import RouterCore
from router.policy.decision import Refuse, Send
from router.policy.endpoint import Endpoint
from router.policy.fleet import Fleet, Price, Site, SiteKind, SloClass
from router.policy.outcome import End, Ended, FirstToken
from router.policy.request import Request
from router.policy.resume import ResumePoint
from router.policy.units import NS_PER_MS, NS_PER_S

SLO = SloClass("chat", NS_PER_S, NS_PER_S, hedge_share=0.2, hedge_usd_per_hour=100.0)
PRICE = Price(metered_usd_per_replica_hour=3.6)


def _core(slo: SloClass = SLO, price: Price = PRICE) -> RouterCore:
    sites = (Site("home", SiteKind.HOME), Site("rented", SiteKind.RENTED, price=price))
    core = RouterCore(Fleet(sites, (slo,), slo.name))
    for name in ("home-0", "home-1", "rented-0"):
        core.on_endpoint_up(Endpoint(name, name[:-2], "m"), 0)
        core.on_rtt(name, NS_PER_MS, 0)
    return core


def _ask(core, rng, name="r", now=0, **request) -> Send:
    send = core.on_request(Request(name, "m", prompt_tokens=100, **request), now, rng)
    assert isinstance(send, Send)
    return send


def test_an_overdue_request_goes_to_another_site_too(rng):
    """Under an id of its own, and both are in flight."""
    core = _core()
    first = _ask(core, rng)
    assert first.hedge_ns >= first.chosen.ttft_ns
    second = core.on_hedge_due("r", first.hedge_ns, rng)
    assert isinstance(second, Send)
    assert second.site == "rented"
    assert second.request != first.request
    assert second.hedge_ns == 0
    assert core.snapshot(0).open_streams == 2
    assert core.on_hedge_due("r", 2 * first.hedge_ns, rng) is None


def test_what_gave_its_first_token_is_not_hedged(rng):
    """Nor what has ended."""
    core = _core()
    first = _ask(core, rng)
    core.on_outcome(FirstToken("r", first.endpoint, NS_PER_MS), NS_PER_MS, rng)
    assert core.on_hedge_due("r", first.hedge_ns, rng) is None
    core.on_outcome(Ended("r", first.endpoint, End.OK, 5, 5), NS_PER_S, rng)
    assert core.on_hedge_due("r", NS_PER_S, rng) is None


def test_a_class_that_does_not_ask_for_it_is_never_hedged(rng):
    """It is off by default."""
    core = _core(SloClass("chat", NS_PER_S, NS_PER_S))
    assert _ask(core, rng).hedge_ns == 0
    assert core.on_hedge_due("r", NS_PER_S, rng) is None


def test_answers_that_come_whole_are_not_hedged(rng):
    """Nobody sees their first token."""
    assert _ask(_core(), rng, streams=False).hedge_ns == 0


def test_the_loser_is_followed_by_nothing_and_the_winner_has_the_session(rng):
    """Counters return to zero."""
    core = _core()
    first = _ask(core, rng, session="s")
    second = core.on_hedge_due("r", first.hedge_ns, rng)
    now = 2 * first.hedge_ns
    core.on_outcome(FirstToken(second.request, second.endpoint, first.hedge_ns), now, rng)
    assert core.on_outcome(Ended("r", first.endpoint, End.CANCELLED), now, rng) is None
    core.on_outcome(Ended(second.request, second.endpoint, End.OK, 5, 5), now, rng)
    state = core.snapshot(now)
    assert state.open_streams == 0
    assert {site.name: site.sessions for site in state.sites} == {"home": 0, "rented": 1}


def test_a_stream_that_goes_on_is_not_hedged_beside_a_hedge_of_before(rng):
    """Told of it all the same, the core keeps count of the one that is open."""
    core = _core()
    first = _ask(core, rng)
    second = core.on_hedge_due("r", first.hedge_ns, rng)
    now = first.hedge_ns
    core.on_outcome(FirstToken("r", first.endpoint, now), now, rng)
    broken = Ended("r", first.endpoint, End.UNREACHABLE, 3, 3, resume=ResumePoint(3, 100))
    rest = core.on_outcome(broken, now, rng)
    assert isinstance(rest, Send)
    assert rest.hedge_ns == 0
    assert core.on_hedge_due("r", now, rng) is None
    assert core.snapshot(now).open_streams == 2
    for send in (second, rest):
        core.on_outcome(Ended(send.request, send.endpoint, End.CANCELLED), now, rng)
    state = core.snapshot(now)
    assert state.open_streams == sum(site.open_streams for site in state.sites) == 0


@pytest.mark.parametrize("fails_first", ["primary", "hedge"])
def test_a_failure_is_followed_by_nothing_while_the_other_is_open(rng, fails_first):
    """Then the other is as any attempt: its failure is followed by a retry."""
    core = _core()
    first = _ask(core, rng)
    second = core.on_hedge_due("r", first.hedge_ns, rng)
    order = [first, second] if fails_first == "primary" else [second, first]
    now = first.hedge_ns + 1
    failed = Ended(order[0].request, order[0].endpoint, End.UNREACHABLE)
    assert core.on_outcome(failed, now, rng) is None
    failed = Ended(order[1].request, order[1].endpoint, End.UNREACHABLE)
    assert isinstance(core.on_outcome(failed, now, rng), Send)


def test_hedges_are_at_most_their_share_of_the_requests(rng):
    """Beyond the first few, whatever is overdue."""
    core = _core()
    hedged = 0
    for number in range(300):
        now = number * NS_PER_S
        first = _ask(core, rng, f"r{number}", now)
        second = core.on_hedge_due(first.request, now + first.hedge_ns, rng)
        hedged += second is not None
        for send in filter(None, (second, first)):
            core.on_outcome(Ended(send.request, send.endpoint, End.CANCELLED), now, rng)
    assert 30 < hedged <= 10 + 0.2 * 300


def test_p9_hedges_cost_no_more_than_their_own_budget(rng):
    """And nothing at all where none is given, unless the other site costs nothing."""
    for usd, least, most in ((0.0, 0, 0), (0.02, 1, 6)):
        core = _core(replace(SLO, hedge_share=1.0, hedge_usd_per_hour=usd))
        hedged = 0
        for number in range(100):
            first = _ask(core, rng, f"r{number}", number, max_new_tokens=200)
            hedged += core.on_hedge_due(first.request, number + first.hedge_ns, rng) is not None
            core.on_outcome(Ended(first.request, first.endpoint, End.CANCELLED), number, rng)
        assert least <= hedged <= most
    free = _core(replace(SLO, hedge_usd_per_hour=0.0), Price(committed_replicas=1))
    first = _ask(free, rng)
    assert free.on_hedge_due("r", first.hedge_ns, rng) is not None


def test_p9_a_sites_own_budget_holds_with_hedges(rng):
    """They are counted there like any other request, and refused like any other."""
    price = Price(metered_usd_per_replica_hour=3.6, budget_usd_per_hour=0.1)
    core = _core(replace(SLO, hedge_share=1.0), price)
    now = 0
    for number in range(200):
        now += 20 * NS_PER_S
        first = _ask(core, rng, f"r{number}", now, max_new_tokens=200)
        second = core.on_hedge_due(first.request, now + first.hedge_ns, rng)
        now += NS_PER_S
        for send in filter(None, (second, first)):
            core.on_outcome(Ended(send.request, send.endpoint, End.CANCELLED), now, rng)
    hours = now / (3600 * NS_PER_S)
    spent = {site.name: site.spend_usd for site in core.snapshot(now).sites}["rented"]
    assert 0.02 < spent <= 0.1 * (hours + 0.3)


def test_what_failed_one_attempt_is_not_tried_again_by_the_other(rng):
    """A request that is hedged is tried no more often than any other, and nowhere twice."""
    core = _core()
    first = _ask(core, rng)
    second = core.on_hedge_due("r", first.hedge_ns, rng)
    now = 2 * first.hedge_ns
    assert core.on_outcome(Ended("r", first.endpoint, End.FAILED), now, rng) is None
    third = core.on_outcome(Ended(second.request, second.endpoint, End.FAILED), now, rng)
    assert isinstance(third, Send)
    assert third.endpoint not in {first.endpoint, second.endpoint}
    last = core.on_outcome(Ended(third.request, third.endpoint, End.FAILED), now, rng)
    assert isinstance(last, Refuse)
    assert core.snapshot(now).open_streams == 0


def test_what_hedges_cost_is_shared_where_routers_share(rng):
    """A router that was given nothing hedges nothing on metered capacity, and asks for it."""
    core = _core()
    shared = RouterCore(replace(core.fleet, shares=True))
    for name in ("home-0", "rented-0"):
        shared.on_endpoint_up(Endpoint(name, name[:-2], "m"), 0)
        shared.on_rtt(name, NS_PER_MS, 0)
    first = _ask(shared, rng)
    assert shared.on_hedge_due("r", first.hedge_ns, rng) is None
    want = next(one for one in shared.allowances.wants(0) if one.bucket.name == "usd/hedge/chat")
    shared.on_store(2, (Granted("usd/hedge/chat", want.amount),), 0)
    assert isinstance(shared.on_hedge_due("r", first.hedge_ns, rng), Send)
