"""Fleets too large for every endpoint to be judged."""

import dataclasses
from collections import Counter

from router.policy.core import RouterCore
from router.policy.decision import Rule, Send
from router.policy.endpoint import Endpoint
from router.policy.fleet import Limits, Site, SiteKind
from router.policy.load import LoadReport
from router.policy.outcome import End, Ended, FirstToken
from router.policy.pool import CANDIDATES_MAX
from router.policy.request import Request
from router.policy.units import NS_PER_MS
from tests.router.policy.toy import MODEL, fleet


def _core(count: int) -> RouterCore:
    core = RouterCore(fleet())
    for number in range(count):
        site = "rented" if number % 2 else "home"
        core.on_endpoint_up(Endpoint(f"{site}-{number}", site, MODEL), 0)
    return core


def _sent(decision) -> Send:
    assert isinstance(decision, Send)
    return decision


def test_a_decision_judges_a_bounded_number_of_endpoints(rng):
    """And among them the session's placement."""
    core = _core(400)
    sent = _sent(core.on_request(Request("a", MODEL, session="s", prompt_tokens=500), 0, rng))
    core.on_outcome(Ended("a", sent.endpoint, End.OK, output_tokens=20), NS_PER_MS, rng)
    for number in range(20):
        request = Request(str(number), MODEL, session="s", prompt_tokens=600)
        again = _sent(core.explain(request, NS_PER_MS, rng))
        assert len(again.candidates) <= CANDIDATES_MAX
        assert (again.endpoint, again.rule) == (sent.endpoint, Rule.STICKY)


def test_p1_the_last_idle_home_replica_is_found_among_hundreds(rng):
    """Chance alone would rarely draw it."""
    core = _core(400)
    for number in range(0, 400, 2):
        if number != 122:
            report = LoadReport(f"home-{number}", "1", 1, 8, 40, 90_000, running_max=8)
            core.on_load(report, 0)
    sent = _sent(core.on_request(Request("q", MODEL), 0, rng))
    assert sent.endpoint == "home-122"


def test_load_spreads_evenly(rng):
    """A thousand requests over two hundred home replicas: none gets three times its share."""
    core = _core(400)
    chosen = Counter(
        _sent(core.on_request(Request(str(n), MODEL, prompt_tokens=50), 0, rng)).endpoint
        for n in range(1000)
    )
    assert max(chosen.values()) <= 15
    assert len(chosen) > 150


def test_a_prefix_is_served_where_it_is_cached_among_hundreds(rng):
    """Requests without a session find the replica that had their context before."""
    core = _core(400)
    where: dict[int, set[str]] = {}
    for number in range(200):
        customer = number % 20
        prefix = tuple(range(1000 * customer, 1000 * customer + 300))
        request = Request(str(number), MODEL, prompt_tokens=5000, prefix=prefix)
        sent = _sent(core.on_request(request, number * NS_PER_MS, rng))
        where.setdefault(customer, set()).add(sent.endpoint)
        core.on_outcome(Ended(request.id, sent.endpoint, End.OK), number * NS_PER_MS, rng)
    assert all(len(replicas) == 1 for replicas in where.values())


def test_a_new_site_s_idle_endpoints_do_not_hide_the_last_one_of_the_others_with_room(rng):
    """They are idle because they may have but a trickle."""
    plain = fleet()
    sites = (*plain.sites, Site("annex", SiteKind.HOME))
    core = RouterCore(dataclasses.replace(plain, sites=sites))
    for number in range(100):
        core.on_endpoint_up(Endpoint(f"home-{number}", "home", MODEL), 0)
    for number in range(Limits().warming_answers):
        sent = _sent(core.on_request(Request(f"w{number}", MODEL), 0, rng))
        core.on_outcome(FirstToken(f"w{number}", sent.endpoint, NS_PER_MS), NS_PER_MS, rng)
        core.on_outcome(Ended(f"w{number}", sent.endpoint, End.OK, 20, 1), NS_PER_MS, rng)
    for number in range(100):
        core.on_endpoint_up(Endpoint(f"annex-{number}", "annex", MODEL), NS_PER_MS)
        load = (1, 0, 0) if number == 60 else (8, 40, 90_000)
        core.on_load(LoadReport(f"home-{number}", "1", 1, *load, running_max=8), NS_PER_MS)
    sent = [_sent(core.on_request(Request(f"q{n}", MODEL), NS_PER_MS, rng)) for n in range(3)]
    assert "home-60" in [one.endpoint for one in sent]
    assert sum(one.site == "annex" for one in sent) <= 1
