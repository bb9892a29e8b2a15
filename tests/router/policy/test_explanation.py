"""P12: every decision says in words what decided, with its figures."""

import pytest

from router.policy.core import RouterCore
from router.policy.decision import Refuse, Rule, Send
from router.policy.endpoint import Endpoint
from router.policy.explanation import sentence, span
from router.policy.load import LoadReport
from router.policy.request import Request
from router.policy.units import NS_PER_MS, NS_PER_S
from tests.router.policy.toy import MODEL, fleet


def _core() -> RouterCore:
    core = RouterCore(fleet())
    core.on_endpoint_up(Endpoint("home-0", "home", MODEL), 0)
    core.on_endpoint_up(Endpoint("rented-0", "rented", MODEL), 0)
    return core


def test_home_is_explained_with_the_objective_and_the_parts(rng):
    """Network, queue and prefill add up to the time that is promised."""
    core = _core()
    core.on_rtt("home-0", 4 * NS_PER_MS, 0)
    sent = core.on_request(Request("q", MODEL, prompt_tokens=1000), 0, rng)
    assert isinstance(sent, Send)
    chosen = sent.chosen
    assert chosen.network_ns + chosen.queue_ns + chosen.prefill_ns == chosen.ttft_ns
    assert sent.rule is Rule.HOME
    for part in ("home", "objective of 1.0 s", "home-0", "network", "queue", "prefill"):
        assert part in sent.reason


def test_a_session_that_stays_for_its_cache_is_not_said_to_be_in_time(rng):
    """It stays where it is expected to be, though nobody is sure of it."""
    sent = _core().on_request(Request("q", MODEL), 0, rng)
    assert isinstance(sent, Send)
    sure = sentence(Rule.STICKY, sent.chosen, (), NS_PER_S)
    assert "meets the objective of 1.0 s" in sure
    unsure = sentence(Rule.STICKY, sent.chosen._replace(meets_objective=False), (), NS_PER_S)
    assert "meets" not in unsure
    assert "more likely than not within the objective of 1.0 s" in unsure


def test_overflow_is_explained_by_what_home_would_take(rng):
    """The reason names home's time and the price."""
    core = _core()
    core.on_load(LoadReport("home-0", "1", 1, 4, 10, 30_000, running_max=4), 0)
    sent = core.on_request(Request("q", MODEL, prompt_tokens=1000), 0, rng)
    assert isinstance(sent, Send)
    assert sent.rule is Rule.OVERFLOW
    assert sent.reason.startswith("home would take")
    assert "costs $" in sent.reason


def test_a_home_that_is_only_likely_to_meet_is_not_said_to_miss(rng):
    """Its expected time may be within the objective, and an answer that is late likely enough."""
    sent = _core().on_request(Request("q", MODEL), 0, rng)
    assert isinstance(sent, Send)
    unsure = sent.chosen._replace(meets_objective=False)
    words = sentence(Rule.OVERFLOW, sent.chosen, (unsure,), NS_PER_S)
    assert "too unsure to count on the objective of 1.0 s" in words
    late = unsure._replace(ttft_ns=2 * NS_PER_S)
    assert "over the objective of 1.0 s" in sentence(Rule.OVERFLOW, sent.chosen, (late,), NS_PER_S)


def test_overflow_from_a_home_that_is_down_says_so(rng):
    """With the reason why it cannot be chosen."""
    core = _core()
    core.on_connection("home-0", False, 0)
    sent = core.on_request(Request("q", MODEL), 0, rng)
    assert isinstance(sent, Send)
    assert "no home endpoint could be chosen (1 not connected)" in sent.reason


def test_a_refusal_counts_what_was_excluded_and_why(rng):
    """One sentence for the whole fleet."""
    core = _core()
    core.on_connection("home-0", False, 0)
    core.on_drain("rented", True, 0)
    refused = core.on_request(Request("q", MODEL), 0, rng)
    assert isinstance(refused, Refuse)
    assert refused.reason == "no endpoint can be chosen: 1 draining, 1 not connected"


@pytest.mark.parametrize(
    ("nanoseconds", "words"),
    [
        (8_300_000, "8.3 ms"),
        (120 * NS_PER_MS, "120 ms"),
        (3 * NS_PER_S // 2, "1.5 s"),
        (0, "0.0 ms"),
    ],
)
def test_times_have_two_or_three_digits(nanoseconds, words):
    """Enough to compare, no more."""
    assert span(nanoseconds) == words
