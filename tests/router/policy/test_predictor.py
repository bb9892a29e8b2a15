"""The learned time to first token."""

import random

import pytest

from router.policy.predictor import Ahead, Costs, TtftPredictor, mean_costs
from router.policy.units import NS_PER_MS, NS_PER_S

_BASE_NS = 30 * NS_PER_MS
_TOKEN_NS = 250_000


def _truth(ahead: Ahead, uncached: int, rng: random.Random, noise: float = 0.15) -> int:
    middle = _BASE_NS + _TOKEN_NS * (ahead.tokens + uncached) + 1.2 * ahead.slot_wait_ns
    return round(middle * rng.lognormvariate(0.0, noise))


def _situation(rng: random.Random) -> tuple[Ahead, int]:
    waits = rng.random() < 0.4
    ahead = Ahead(rng.randrange(2000), rng.uniform(0.1, 3.0) * NS_PER_S if waits else 0.0)
    return ahead, rng.randrange(1, 2000)


def _taught(rng: random.Random, count: int = 300) -> TtftPredictor:
    predictor = TtftPredictor([0.9])
    for number in range(count):
        ahead, uncached = _situation(rng)
        predictor.add(ahead, uncached, _truth(ahead, uncached, rng), number * NS_PER_S // 10)
    return predictor


def test_it_learns_what_a_token_costs(rng):
    """Prefill that costs two and a half times the prior is found out."""
    costs = _taught(rng).costs
    assert costs.token_ns == pytest.approx(_TOKEN_NS, rel=0.15)
    assert costs.base_ns == pytest.approx(_BASE_NS, rel=0.5)
    assert costs.slot_factor == pytest.approx(1.2, rel=0.15)


@pytest.mark.parametrize("confidence", [0.8, 0.9, 0.95])
def test_p13_the_promise_is_kept_as_often_as_the_class_asks(confidence, rng):
    """Of the requests promised with a confidence, that share is in time, within five points."""
    predictor = TtftPredictor([0.5, confidence])
    kept = []
    for number in range(3000):
        now = number * NS_PER_S // 10
        ahead, uncached = _situation(rng)
        promised = predictor.promise_ns(ahead, uncached, 1, now)
        ttft = _truth(ahead, uncached, rng, noise=0.3)
        kept.append(ttft <= promised)
        predictor.add(ahead, uncached, ttft, now)
    assert sum(kept[300:]) / len(kept[300:]) == pytest.approx(confidence, abs=0.05)


def test_a_few_absurd_first_tokens_do_not_ruin_it(rng):
    """One in fifty takes a minute, for reasons of its own; the rest is still predicted well."""
    predictor = TtftPredictor([0.9])
    for number in range(500):
        ahead, uncached = _situation(rng)
        ttft = 60 * NS_PER_S if number % 50 == 0 else _truth(ahead, uncached, rng)
        predictor.add(ahead, uncached, ttft, number * NS_PER_S // 10)
    middle = predictor.middle_ns(Ahead(500.0, 0.0), 500)
    assert middle == pytest.approx(_BASE_NS + 1000 * _TOKEN_NS, rel=0.5)


def test_a_bad_spell_is_forgiven_when_nothing_has_been_seen_for_long(rng):
    """An endpoint that was slow is believed to be its best again after twenty silent seconds."""
    predictor = _taught(rng)
    best = predictor.promise_ns(Ahead(0.0, 0.0), 100, 0, 30 * NS_PER_S)
    for number in range(60):
        predictor.add(Ahead(0.0, 0.0), 100, 3 * NS_PER_S, 30 * NS_PER_S + number)
    bad = predictor.promise_ns(Ahead(0.0, 0.0), 100, 0, 31 * NS_PER_S)
    later = predictor.promise_ns(Ahead(0.0, 0.0), 100, 0, 60 * NS_PER_S)
    assert bad > 5 * best
    assert later < bad / 2


def test_what_a_surge_taught_of_waiting_fades_while_nobody_waits(rng):
    """First tokens of requests that start at once say nothing for the doubts about waiting."""
    predictor = TtftPredictor([0.9])
    waiting = Ahead(0, NS_PER_S)
    for number in range(200):
        late = _truth(waiting, 10, rng, noise=1.0)
        predictor.add(waiting, 10, late, number * NS_PER_S // 10)
    surged = predictor.promise_ns(waiting, 10, 0, 20 * NS_PER_S)
    for second in range(20, 60):
        predictor.add(Ahead(0, 0.0), 10, _truth(Ahead(0, 0.0), 10, rng), second * NS_PER_S)
    calm = predictor.promise_ns(waiting, 10, 0, 60 * NS_PER_S)
    assert calm < 0.6 * surged
    assert calm == pytest.approx(predictor.middle_ns(waiting, 10), rel=0.01)


def test_a_request_that_gave_up_waiting_counts_only_if_it_surprises(rng):
    """A cancel before the expected time says nothing; one long after it says that it was late."""
    predictor = _taught(rng)
    count = predictor.count
    predictor.add_late(Ahead(0.0, 0.0), 100, NS_PER_MS, 40 * NS_PER_S)
    assert predictor.count == count
    predictor.add_late(Ahead(0.0, 0.0), 100, 20 * NS_PER_S, 40 * NS_PER_S)
    assert predictor.count == count + 1


def test_a_new_endpoint_starts_as_the_average_of_its_like():
    """Two siblings make a prior; without any there is a default."""
    mean = mean_costs([Costs(1.0, 2.0, 1.0), Costs(3.0, 4.0, 2.0)])
    assert mean == Costs(2.0, 3.0, 1.5)
    assert mean_costs([]).token_ns > 0
    assert TtftPredictor([0.9], mean).costs == mean
