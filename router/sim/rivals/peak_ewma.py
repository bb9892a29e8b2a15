"""Peak EWMA: latency times queue, where latency rises at once and falls slowly."""

import math
import random
from dataclasses import dataclass

from router.policy.outcome import Ended, FirstToken
from router.policy.request import Request
from router.policy.units import NS_PER_MS, NS_PER_S
from router.sim.rivals.rival import Rival

_DECAY_NS = 10 * NS_PER_S
_DEFAULT_RTT_NS = 30 * NS_PER_MS


@dataclass(slots=True)
class _Estimate:
    rtt_ns: float
    at_ns: int
    pending: int = 0  # requests without a first token

    def value_at(self, now: int) -> float:
        """The latency, which fades towards 0 while nothing is heard."""
        return self.rtt_ns * math.exp((self.at_ns - now) / _DECAY_NS)

    def add(self, rtt_ns: int, now: int) -> None:
        """A peak counts in full at once; what is lower is averaged in."""
        if self.rtt_ns < rtt_ns:
            self.rtt_ns = rtt_ns
        else:
            old = math.exp((self.at_ns - now) / _DECAY_NS)
            self.rtt_ns = self.rtt_ns * old + rtt_ns * (1.0 - old)
        self.at_ns = now


class PeakEwma(Rival):
    """Of two endpoints drawn at random, the one with the lower latency x (pending + 1).

    Source: linkerd2-proxy and tower's `load::PeakEwma`, with their defaults: a decay of 10 s, 30 ms
    assumed at first, a request pending until its first data.
    """

    def __init__(self) -> None:
        super().__init__()
        self._estimates: dict[str, _Estimate] = {}

    def choose(self, request: Request, usable: list[str], now: int, rng: random.Random) -> str:
        """The cheaper of two."""
        _ = request
        pair = rng.sample(usable, min(2, len(usable)))
        return min(pair, key=lambda name: self._cost(name, now))

    def saw_send(self, request: Request, endpoint: str, now: int) -> None:
        """One more is pending."""
        _ = request
        self._estimate(endpoint, now).pending += 1

    def saw_first_token(self, request: Request, outcome: FirstToken, now: int) -> None:
        """The latency that counts is that of the first data."""
        _ = request
        estimate = self._estimate(outcome.endpoint, now)
        estimate.pending -= 1
        estimate.add(outcome.ttft_ns, now)

    def saw_end(self, request: Request, outcome: Ended, now: int) -> None:
        """One that ends without any data is pending no more."""
        _ = request
        if not outcome.messages:
            estimate = self._estimate(outcome.endpoint, now)
            estimate.pending -= 1
            estimate.add(outcome.duration_ns, now)

    def _cost(self, endpoint: str, now: int) -> float:
        estimate = self._estimate(endpoint, now)
        return estimate.value_at(now) * (estimate.pending + 1)

    def _estimate(self, endpoint: str, now: int) -> _Estimate:
        if endpoint not in self._estimates:
            self._estimates[endpoint] = _Estimate(_DEFAULT_RTT_NS, now)
        return self._estimates[endpoint]
