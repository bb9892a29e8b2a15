"""The policies that everybody has: round robin, least requests, power of two choices."""

import random

from router.policy.request import Request
from router.sim.rivals.rival import Rival


class RoundRobin(Rival):
    """The next endpoint in the order of listing."""

    def __init__(self) -> None:
        super().__init__()
        self._next = 0

    def choose(self, request: Request, usable: list[str], now: int, rng: random.Random) -> str:
        """The next in turn."""
        _ = request, now, rng
        self._next += 1
        return usable[(self._next - 1) % len(usable)]


class LeastRequests(Rival):
    """The endpoint with the fewest of this router's requests in flight, ties at random."""

    def choose(self, request: Request, usable: list[str], now: int, rng: random.Random) -> str:
        """The least loaded."""
        _ = request, now
        least = min(self.in_flight[name] for name in usable)
        return rng.choice([name for name in usable if self.in_flight[name] == least])


class PowerOfTwo(Rival):
    """Of two endpoints drawn at random, the one with fewer requests in flight.

    Source: M. Mitzenmacher, The power of two choices in randomized load balancing (2001).
    """

    def choose(self, request: Request, usable: list[str], now: int, rng: random.Random) -> str:
        """The less loaded of two."""
        _ = request, now
        pair = rng.sample(usable, min(2, len(usable)))
        return min(pair, key=lambda name: self.in_flight[name])
