"""A site that was measured is believed to be as it was measured, until it has been seen."""

import dataclasses

from router.policy.core import RouterCore
from router.policy.decision import Send
from router.policy.endpoint import Endpoint
from router.policy.fleet import LatencyProfile
from router.policy.request import Request
from router.policy.units import NS_PER_MS
from tests.router.policy.toy import MODEL, fleet

PROFILE = LatencyProfile(
    ttft_ns=300 * NS_PER_MS,
    itl_ns=40 * NS_PER_MS,
    ttft_ns_per_prompt_token=NS_PER_MS,
    itl_ns_per_stream=2 * NS_PER_MS,
)


def test_the_first_request_is_predicted_by_the_profile(rng):
    """Base and token cost, and the gap between tokens; a site without one is as any."""
    plain = fleet()
    home, rented = plain.sites
    measured = dataclasses.replace(home, profile=PROFILE)
    core = RouterCore(dataclasses.replace(plain, sites=(measured, rented)))
    core.on_endpoint_up(Endpoint("home-0", "home", MODEL), 0)
    core.on_endpoint_up(Endpoint("rented-0", "rented", MODEL), 0)
    decision = core.on_request(Request("q", MODEL, prompt_tokens=100), 0, rng)
    assert isinstance(decision, Send)
    seen = {one.endpoint: one for one in decision.candidates}
    assert seen["home-0"].expected_ns >= 400 * NS_PER_MS
    assert seen["rented-0"].expected_ns < 100 * NS_PER_MS
    assert 40 * NS_PER_MS <= seen["home-0"].itl_ns <= 43 * NS_PER_MS
