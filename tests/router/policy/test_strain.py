"""How hard home is pressed."""

import random

import pytest

from router.policy.core import RouterCore
from router.policy.decision import Candidate
from router.policy.endpoint import Endpoint
from router.policy.request import Request
from router.policy.strain import Strain
from router.policy.units import NS_PER_MS, NS_PER_S
from tests.router.policy.toy import MODEL, fleet

_CANDIDATE = Candidate("home-0", "home", True, 1, 1, 0, 0, 0, 0, 10, 0.0, True, 1, 0, None)


@pytest.fixture
def need():
    """A request of the class `chat`, as the core prepares it."""
    core = RouterCore(fleet())
    core.on_endpoint_up(Endpoint("home-0", "home", MODEL), 0)
    verdict = core._decider.decide(Request("q", MODEL), (), 0, random.Random(1))
    return verdict.need


def _observe(strain: Strain, need, now: int, **found) -> None:
    strain.observe(need, (_CANDIDATE._replace(**found),), 0.7, now)


def test_without_a_miss_nothing_is_held_back(need):
    """Home first: a new session may use the whole objective."""
    strain = Strain(0.3)
    for number in range(100):
        _observe(strain, need, number, cached_tokens=1000)
    assert strain.share_at(0, 100) == 1.0


def test_under_pressure_new_sessions_leave_earlier_than_warm_ones(need):
    """The more is cached at home, the more of the objective may be used."""
    strain = Strain(0.3)
    for number in range(100):
        _observe(strain, need, number, cached_tokens=1000, meets_objective=number % 4 > 0)
    shares = [strain.share_at(cached, 100) for cached in (0, 200, 1000, 20_000)]
    assert shares == sorted(shares)
    assert shares[0] == pytest.approx(0.7)
    assert shares[-1] > 0.98


def test_misses_of_new_requests_are_no_pressure(need):
    """They have nothing to lose by leaving."""
    strain = Strain(0.3)
    for number in range(100):
        _observe(strain, need, number, meets_objective=False)
    assert strain.share_at(0, 100) == 1.0


def test_pressure_passes(need):
    """A minute after the last miss nothing is held back any more."""
    strain = Strain(0.3)
    for number in range(100):
        _observe(strain, need, number, cached_tokens=10, meets_objective=False)
    assert strain.share_at(0, 60 * NS_PER_S) == 1.0


def test_calm_is_counted_from_the_last_strain(need):
    """A miss, or a queue near the objective, ends it; a long prompt by itself does not."""
    strain = Strain(0.3)
    assert strain.calm_ns("chat", 0) > 1000 * NS_PER_S
    _observe(strain, need, NS_PER_S, queue_ns=900 * NS_PER_MS)
    assert strain.calm_ns("chat", 3 * NS_PER_S) == 2 * NS_PER_S
    _observe(strain, need, 3 * NS_PER_S, prefill_ns=900 * NS_PER_MS)
    assert strain.calm_ns("chat", 3 * NS_PER_S) == 2 * NS_PER_S
