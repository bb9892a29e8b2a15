"""What is counted as asked of a fleet."""

from router.policy.core import RouterCore
from router.policy.decision import Refuse, Send
from router.policy.endpoint import Endpoint
from router.policy.outcome import FirstToken
from router.policy.request import Request
from router.policy.scaling.demand import Demand
from router.policy.units import NS_PER_MS, NS_PER_S
from tests.router.policy.toy import MODEL, fleet


def test_what_is_refused_for_want_of_capacity_is_demand_and_missed(rng):
    """Else a fleet of nothing would never be asked to grow."""
    core = RouterCore(fleet())
    assert isinstance(core.on_request(Request("a", "", prompt_tokens=700), 0, rng), Refuse)
    asked = core.scaling.sample().asked
    assert (asked.requests, asked.prompt_tokens, asked.pressed, asked.missed) == (1, 700, 1, 1)


def test_what_nobody_could_serve_is_none(rng):
    """More replicas would not know the model either."""
    core = RouterCore(fleet())
    core.on_endpoint_up(Endpoint("home-0", "home", MODEL), 0)
    assert isinstance(core.on_request(Request("a", "nonsense"), 0, rng), Refuse)
    assert core.scaling.sample().asked.requests == 0


def test_a_request_counts_once_at_the_site_where_it_goes(rng):
    """With its uncached prompt, and work for prompt and expected answer."""
    core = RouterCore(fleet())
    core.on_endpoint_up(Endpoint("home-0", "home", MODEL), 0)
    sent = core.on_request(Request("a", MODEL, prompt_tokens=300, max_new_tokens=20), 0, rng)
    assert isinstance(sent, Send)
    found = core.scaling.sample()
    home = next(site for site in found.sites if site.name == "home")
    assert (found.asked.requests, found.asked.prompt_tokens) == (1, 300)
    assert home.work_tokens == Demand(1, 300, found.asked.output_tokens).work
    assert home.serving == 1


def test_a_late_first_token_is_missed(rng):
    """By what was left of the objective when the request was sent."""
    core = RouterCore(fleet())
    core.on_endpoint_up(Endpoint("home-0", "home", MODEL), 0)
    for name, ttft_ns in (("a", 50 * NS_PER_MS), ("b", 100 * NS_PER_S)):
        sent = core.on_request(Request(name, MODEL, prompt_tokens=10), 0, rng)
        assert isinstance(sent, Send)
        core.on_outcome(FirstToken(name, sent.endpoint, ttft_ns), ttft_ns, rng)
    assert core.scaling.sample().asked.missed == 1


def test_what_drains_or_is_lent_does_not_serve(rng):
    """Nor does what lost its connection."""
    core = RouterCore(fleet())
    for name in ("home-0", "home-1", "home-2"):
        core.on_endpoint_up(Endpoint(name, "home", MODEL), 0)
    core.on_lend("home", ("home-2",), 1)
    core.on_connection("home-1", False, 1)
    home = next(site for site in core.scaling.sample().sites if site.name == "home")
    assert home.serving == 1
    core.on_drain("home", True, 2)
    home = next(site for site in core.scaling.sample().sites if site.name == "home")
    assert (home.serving, home.draining) == (0, True)
