"""Endpoints that are routers: what their forecasts are worth, true or not."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.policy.core import RouterCore
from router.policy.decision import Refuse, Rule, Send
from router.policy.endpoint import Endpoint
from router.policy.fleet import Fleet, Price, Site, SiteKind, SloClass
from router.policy.gateway import CIRCULAR, NOTHING_BEHIND, Forecast, Gateway
from router.policy.load import LoadReport
from router.policy.outcome import End, Ended, FirstToken
from router.policy.request import Request
from router.policy.stall import Signs, is_stalled
from router.policy.units import NS_PER_MS, NS_PER_S

FLEET = Fleet(
    (Site("home", SiteKind.HOME),),
    (SloClass("chat", ttft_ns=5 * NS_PER_S, itl_ns=NS_PER_S),),
    "chat",
)


def ms(*points):
    return tuple(Forecast(tokens, int(value * NS_PER_MS)) for tokens, value in points)


def report(name, sequence, gateway, **fields):
    return LoadReport(name, f"i-{name}", sequence, running_max=64, gateway=gateway, **fields)


def core_with(**gateways):
    """A core over endpoints that have reported once."""
    core = RouterCore(FLEET)
    for name, gateway in gateways.items():
        core.on_endpoint_up(Endpoint(name, "home", "m"), 0)
        core.on_connection(name, connected=True, now=0)
        core.on_load(report(name, 1, gateway), 0)
    return core


def candidates(core, now=1, tokens=100):
    decision = core.explain(Request("x", "m", prompt_tokens=tokens), now, random.Random(1))
    return {one.endpoint: one for one in decision.candidates}, decision


@given(
    st.lists(
        st.tuples(st.integers(0, 100_000), st.integers(0, 10**12)),
        max_size=8,
        unique_by=lambda point: point[0],
    ),
    st.integers(0, 1_000_000),
)
def test_a_forecast_never_falls_with_the_length(points, tokens):
    """Between, below and beyond its points, whatever they say."""
    rising = sorted(points)
    times = sorted(time for _, time in rising)
    forecasts = tuple(Forecast(one[0], time) for one, time in zip(rising, times, strict=True))
    gateway = Gateway(False, 1, 1, forecasts)
    assert 0 <= gateway.forecast_ns(tokens) <= gateway.forecast_ns(tokens + 1) + 1e-3
    for one in forecasts:
        assert gateway.forecast_ns(one.uncached_tokens) == pytest.approx(one.ttft_ns)


def test_what_a_router_forecasts_counts_as_its_queue():
    """Of two that are alike but for it, the sooner is chosen."""
    quick, slow = ms((1, 30), (1_000, 130)), ms((1, 900), (1_000, 1_000))
    core = core_with(a=Gateway(False, 2, 2, quick), b=Gateway(False, 2, 2, slow))
    found, decision = candidates(core)
    assert decision.endpoint == "a"
    assert found["b"].expected_ns - found["a"].expected_ns > 800 * NS_PER_MS


def test_engines_behind_a_router_prefill_side_by_side():
    """A queue of so many tokens is shorter in time the more there are."""
    core = core_with(a=Gateway(False, 8, 8), b=Gateway(False, 1, 1))
    for name, engines in (("a", 8), ("b", 1)):
        gateway = Gateway(False, engines, engines)
        core.on_load(report(name, 2, gateway, queued_prefill_tokens=8_000), NS_PER_S)
    found, _ = candidates(core, NS_PER_S)
    assert found["a"].queue_ns < found["b"].queue_ns / 4


def test_a_router_that_leads_back_or_has_nothing_gets_nothing():
    """And says why."""
    core = core_with(a=Gateway(True, 1, 1), b=Gateway(False, 0, 3))
    found, decision = candidates(core)
    assert isinstance(decision, Refuse)
    assert decision.rule is Rule.NO_ENDPOINT
    assert (found["a"].excluded, found["b"].excluded) == (CIRCULAR, NOTHING_BEHIND)
    core.on_load(report("b", 2, Gateway(False, 1, 3)), 5)
    assert candidates(core, 6)[1].endpoint == "b"


@pytest.mark.parametrize("lie_ms", [0.0, 1.0, 3_000.0])
def test_a_lie_is_found_out_by_first_tokens(lie_ms):
    """Whether it forecasts nothing or far too much, what is expected comes near to the truth."""
    truth_ms, gateway = 400, Gateway(False, 1, 1, ms((1, lie_ms), (1_000, lie_ms)))
    core, rng, now = core_with(liar=gateway), random.Random(3), 1
    for number in range(200):
        now += 50 * NS_PER_MS
        core.on_load(report("liar", number + 2, gateway), now)
        request = Request(f"r{number}", "m", prompt_tokens=100, max_new_tokens=4)
        assert isinstance(core.on_request(request, now, rng), Send)
        ttft_ns = int(truth_ms * NS_PER_MS * rng.uniform(0.95, 1.05))
        now += ttft_ns
        core.on_outcome(FirstToken(request.id, "liar", ttft_ns), now, rng)
        core.on_outcome(Ended(request.id, "liar", End.OK, output_tokens=4), now, rng)
    found, _ = candidates(core, now)
    assert found["liar"].expected_ns == pytest.approx(truth_ms * NS_PER_MS, rel=0.5)


def test_a_forecast_that_is_old_fades():
    """Like everything that a report says."""
    core = core_with(a=Gateway(False, 1, 1, ms((1, 3_000), (1_000, 3_000))))
    fresh, _ = candidates(core, 1)
    late, _ = candidates(core, FLEET.limits.report_stale_ns + 1)
    assert late["a"].expected_ns < fresh["a"].expected_ns / 2


def test_a_router_is_given_more_time_to_notice_a_silence():
    """It holds the same vigil over its own endpoints, and should be the first to act."""
    signs = Signs(10e6, 0.0, 0.0, 0, 10**12, connected=True, reports=True, waiting=False)
    silent_ns = 800 * NS_PER_MS
    assert is_stalled(silent_ns, signs)
    assert not is_stalled(silent_ns, signs._replace(routes=True))
    assert is_stalled(silent_ns, signs._replace(routes=True, reports=False))


def test_engines_behind_a_router_are_paid_for_each():
    """As many as its requests can have; none once they are over, whatever is up by then."""
    rented = Site("cloud", SiteKind.RENTED, price=Price(metered_usd_per_replica_hour=3_600.0))
    core = RouterCore(replace(FLEET, sites=(*FLEET.sites, rented)))
    core.on_endpoint_up(Endpoint("cloud", "cloud", "m"), 0)
    core.on_load(report("cloud", 1, Gateway(False, 2, 2)), 0)
    rng = random.Random(1)
    for number in range(3):
        core.on_request(Request(f"r{number}", "m"), 0, rng)
    assert core.snapshot(NS_PER_S).sites[1].spend_usd == pytest.approx(2.0)
    core.on_load(report("cloud", 2, Gateway(False, 1, 2)), NS_PER_S)
    for number in range(3):
        core.on_outcome(Ended(f"r{number}", "cloud", End.OK), NS_PER_S, rng)
    spent = core.snapshot(NS_PER_S).sites[1].spend_usd
    assert core.snapshot(5 * NS_PER_S).sites[1].spend_usd == pytest.approx(spent)


def test_what_has_been_waited_above_is_gone_from_the_objective():
    """But no more than half of it, whatever somebody says who wants to be served elsewhere."""
    core = core_with(a=Gateway(False, 1, 1))
    objective_ns = FLEET.slo("").ttft_ns
    for waited_ns, left_ns in ((0, objective_ns), (NS_PER_S, objective_ns - NS_PER_S)):
        request = Request("x", "m", waited_ns=waited_ns)
        assert core.explain(request, 1, random.Random(1)).objective_ns == left_ns
    liar = Request("x", "m", waited_ns=10**18)
    assert core.explain(liar, 1, random.Random(1)).objective_ns == objective_ns / 2
