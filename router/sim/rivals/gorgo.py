"""GORGO: network, prefill and queue in one sum."""

import random

from router.policy.outcome import Ended, FirstToken
from router.policy.request import Request
from router.policy.units import NS_PER_MS
from router.sim.rivals.pending_tokens import PendingTokens
from router.sim.rivals.prefix_tree import PrefixTree
from router.sim.rivals.rival import Rival

_RTT_WEIGHT = 0.276
_QUEUE_WEIGHT = 0.5
_RTT_GAIN = 0.3
_RATE_GAIN = 0.1
_RATE_START = 0.1  # ms for each token, until an endpoint has been seen


class Gorgo(Rival):
    """argmin of w_rtt * rtt + prefill_rate * uncached tokens + queue_rate * w_q * queued tokens.

    Source: arXiv 2602.11688, with the weights that it learned (0.276 and 0.5) and its gain of 0.3
    for round trips. It calibrates its rates for its hardware beforehand; here each endpoint's rate,
    of prefill as of queue, is learned from the first tokens of requests that had no queue.
    """

    report_interval_ns = 100 * NS_PER_MS

    def __init__(self) -> None:
        super().__init__()
        self._tree = PrefixTree()
        self._queue = PendingTokens()
        self._rtt_ms: dict[str, float] = {}
        self._rate: dict[str, float] = {}  # ms for each token
        self._sent: dict[str, tuple[int, int]] = {}  # request -> uncached, queued tokens

    def on_rtt(self, endpoint: str, rtt_ns: int, now: int) -> None:
        """Smooth the round trip."""
        _ = now
        rtt_ms = rtt_ns / NS_PER_MS
        old = self._rtt_ms.get(endpoint, rtt_ms)
        self._rtt_ms[endpoint] = old + _RTT_GAIN * (rtt_ms - old)

    def choose(self, request: Request, usable: list[str], now: int, rng: random.Random) -> str:
        """The least cost, ties at random."""
        _ = now
        costs = {name: self._cost(request, name) for name in usable}
        least = min(costs.values())
        return rng.choice([name for name in usable if costs[name] == least])

    def saw_send(self, request: Request, endpoint: str, now: int) -> None:
        """What is sent is queued, and taken to be cached."""
        uncached = self._uncached(request, endpoint)
        self._sent[request.id] = uncached, self._queue.tokens(endpoint)
        self._queue.on_send(request.id, endpoint, uncached)
        self._tree.add(endpoint, request, now)

    def saw_first_token(self, request: Request, outcome: FirstToken, now: int) -> None:
        """Its prefill is over; without a queue ahead, it tells the rate."""
        _ = now
        uncached, queued = self._sent.pop(request.id)
        self._queue.on_started(request.id)
        if not queued:
            rtt_ms = self._rtt_ms.get(outcome.endpoint, 0.0)
            rate = max(0.0, outcome.ttft_ns / NS_PER_MS - rtt_ms) / uncached
            old = self._rate.get(outcome.endpoint, rate)
            self._rate[outcome.endpoint] = old + _RATE_GAIN * (rate - old)

    def saw_end(self, request: Request, outcome: Ended, now: int) -> None:
        """One that failed is queued no more."""
        _ = outcome, now
        self._sent.pop(request.id, None)
        self._queue.on_started(request.id)

    def saw_lost(self, endpoint: str, now: int) -> None:
        """Its cache is gone."""
        _ = now
        self._tree.forget(endpoint)

    def _cost(self, request: Request, endpoint: str) -> float:
        rate = self._rate.get(endpoint, _RATE_START)
        prefill_ms = rate * self._uncached(request, endpoint)
        queue_ms = rate * _QUEUE_WEIGHT * self._queue.tokens(endpoint)
        return _RTT_WEIGHT * self._rtt_ms.get(endpoint, 0.0) + prefill_ms + queue_ms

    def _uncached(self, request: Request, endpoint: str) -> int:
        return max(1, request.prompt_tokens - self._tree.matched_tokens(endpoint, request))
