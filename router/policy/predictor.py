"""The time to first token at one endpoint, learned from the first tokens it gave.

    ttft = network + base + token_cost * (tokens ahead + uncached tokens) + slot_factor * slot wait

Network is measured. The tokens are the prompt tokens that must be prefilled before the first token
can come: those queued ahead, and the request's own that are not cached. The slot wait is how long
the requests that hold the engine's slots are expected to keep them (`router.policy.slots`). Base,
token cost and slot factor are learned by recursive least squares, in relative terms: an error of
100 ms weighs as much at a prediction of 1 s as one of 10 ms does at 100 ms.

That is the middle. What is promised is a quantile: the middle times a learned ratio, of which there
is one for each confidence that a class asks for, and one set for requests that start at once and
one for those that wait for a slot, because waiting is far less certain.

An endpoint that gave no first token for a while is believed to be better than it was when it was
last seen: the ratio fades towards 1 and the base towards the best it has shown. Otherwise a bad
spell would keep requests away, and so keep itself from being disproved. The ratio of those that
wait is seen only by requests that wait, so it fades by itself: what a surge taught of waiting must
not turn away the second request of a calm that follows it.

A queueing formula with the endpoint's rates as inputs was rejected: rates differ by hardware, model
and settings, and would have to be known beforehand.
"""

from collections.abc import Iterable
from typing import NamedTuple

from router.policy.least_squares import LeastSquares
from router.policy.spread import Spread
from router.policy.units import NS_PER_MS, NS_PER_S

_UNIT_NS = 100 * NS_PER_MS  # the features and the target are of order one in these units
_UNIT_TOKENS = 500
_FLOOR_NS = 5 * NS_PER_MS  # below this, errors count absolutely
_TRUST_NS = 5 * NS_PER_S  # what was learned stands for this long unobserved,
_FADE_NS = 15 * NS_PER_S  # and gives way to the best that was seen over this
_BEST_GAIN = 0.02


class Costs(NamedTuple):
    """The coefficients of one endpoint."""

    base_ns: float
    token_ns: float
    slot_factor: float


COSTS_UNKNOWN = Costs(base_ns=20.0 * NS_PER_MS, token_ns=0.1 * NS_PER_MS, slot_factor=1.0)
"""Before anything is learned anywhere: 10,000 tokens a second, and a step of 20 ms."""


class Ahead(NamedTuple):
    """What stands between a request and its first token at one endpoint."""

    tokens: float  # prompt tokens of others to be prefilled before its own
    slot_wait_ns: float  # 0 where it starts at once


class TtftPredictor:
    """Predicts and learns the time to first token of one endpoint, without the network."""

    __slots__ = (
        "_best_base_ns",
        "_model",
        "_ratios",
        "_seen_ns",
        "base_ns",
        "count",
        "seen_ns",
        "slot_factor",
        "token_ns",
    )

    def __init__(self, confidences: Iterable[float], prior: Costs = COSTS_UNKNOWN) -> None:
        wanted = tuple(confidences)
        self._ratios = (Spread(wanted, 1.3), Spread(wanted, 1.5))  # starting at once, and waiting
        start = (
            prior.base_ns / _UNIT_NS,
            prior.token_ns * _UNIT_TOKENS / _UNIT_NS,
            prior.slot_factor,
        )
        self._model = LeastSquares(start, deviation=(1.0, 2.0, 0.5))
        self.count = 0
        self._seen_ns = [0, 0]  # the last first token of each kind; 0: none was seen
        self.seen_ns = 0
        self._best_base_ns = prior.base_ns
        self.base_ns = prior.base_ns
        self.token_ns = prior.token_ns
        self.slot_factor = prior.slot_factor

    def ask(self, confidences: Iterable[float]) -> None:
        """These are the confidences from now on; what was learned holds for all of them."""
        wanted = tuple(confidences)
        for ratio in self._ratios:
            ratio.ask(wanted)

    @property
    def costs(self) -> Costs:
        """What has been learned, as a prior for endpoints like this one."""
        return Costs(self.base_ns, self.token_ns, self.slot_factor)

    def stretch_at(self, waits: bool, confidence: int, now: int) -> tuple[float, float]:
        """The ratio of what may be promised to the middle, and the base in nanoseconds, as of now.

        `waits` tells whether the request waits for a slot; `confidence` is the index of the class's
        confidence among those given at the start.
        """
        ratio, base_ns = self._ratios[waits].values[confidence], self.base_ns
        trusted_since = now - _TRUST_NS
        unseen = trusted_since - self._seen_ns[waits]
        if unseen <= 0 or not self._seen_ns[waits]:
            return ratio, base_ns
        ratio += (1.0 - ratio) * min(1.0, unseen / _FADE_NS)
        unseen = trusted_since - self.seen_ns
        if unseen > 0:
            better_ns = min(base_ns, self._best_base_ns)
            base_ns += (better_ns - base_ns) * min(1.0, unseen / _FADE_NS)
        return ratio, base_ns

    def promise_ns(self, ahead: Ahead, uncached_tokens: int, confidence: int, now: int) -> float:
        """The time to first token that is not exceeded with a class's confidence."""
        ratio, base_ns = self.stretch_at(ahead.slot_wait_ns > 0.0, confidence, now)
        return ratio * (self.middle_ns(ahead, uncached_tokens) - self.base_ns + base_ns)

    def add(self, ahead: Ahead, uncached_tokens: int, ttft_ns: int, now: int) -> None:
        """Observe a first token that came `ttft_ns` after sending, the network taken off."""
        predicted_ns = max(1.0, self.middle_ns(ahead, uncached_tokens))
        waits = ahead.slot_wait_ns > 0.0
        self._ratios[waits].add(ttft_ns / predicted_ns)
        scale = _UNIT_NS / max(predicted_ns, _FLOOR_NS)
        features = (
            scale,
            scale * (ahead.tokens + uncached_tokens) / _UNIT_TOKENS,
            scale * ahead.slot_wait_ns / _UNIT_NS,
        )
        self._model.add(features, scale * ttft_ns / _UNIT_NS)
        base, token, slot = self._model.coefficients
        # A negative cost is noise; keeping it out of the model too keeps the others honest.
        self._model.coefficients = [max(1e-3, base), max(1e-5, token), max(0.05, slot)]
        self.base_ns = self._model.coefficients[0] * _UNIT_NS
        self.token_ns = self._model.coefficients[1] * _UNIT_NS / _UNIT_TOKENS
        self.slot_factor = self._model.coefficients[2]
        if not waits:
            self._follow_best(ttft_ns - self.token_ns * (ahead.tokens + uncached_tokens))
        self.count += 1
        self._seen_ns[waits] = max(now, self._seen_ns[waits])
        self.seen_ns = max(now, self.seen_ns)

    def add_late(self, ahead: Ahead, uncached_tokens: int, waited_ns: int, now: int) -> None:
        """No first token came within `waited_ns`: a lower bound, which counts if it surprises."""
        if waited_ns > self.middle_ns(ahead, uncached_tokens):
            self.add(ahead, uncached_tokens, waited_ns, now)

    def middle_ns(self, ahead: Ahead, uncached_tokens: int) -> float:
        """The time to first token in the middle of what may happen."""
        tokens = ahead.tokens + uncached_tokens
        return self.base_ns + self.token_ns * tokens + self.slot_factor * ahead.slot_wait_ns

    def _follow_best(self, base_ns: float) -> None:
        """Go down to a better base at once, and up slowly: old bests may not hold any more."""
        base_ns = max(0.0, base_ns)
        if base_ns < self._best_base_ns:
            self._best_base_ns = base_ns
        else:
            self._best_base_ns += _BEST_GAIN * (base_ns - self._best_base_ns)


def mean_costs(costs: list[Costs]) -> Costs:
    """The average of several endpoints, as a prior for a new one."""
    if not costs:
        return COSTS_UNKNOWN
    count = len(costs)
    return Costs(
        sum(c.base_ns for c in costs) / count,
        sum(c.token_ns for c in costs) / count,
        sum(c.slot_factor for c in costs) / count,
    )
