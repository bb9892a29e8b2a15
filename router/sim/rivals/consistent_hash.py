"""Consistent hashing of sessions: affinity without any state."""

import random
from bisect import bisect
from hashlib import blake2b

from router.policy.endpoint import Endpoint
from router.policy.request import Request
from router.sim.rivals.rival import Rival

_POINTS = 160  # on the ring for each endpoint, as libketama has it


class ConsistentHash(Rival):
    """The endpoint that follows the session's point on a ring; the next where that is unusable.

    Sources: D. Karger et al., Consistent hashing and random trees (1997); libketama. A request
    without a session hashes by itself.
    """

    def __init__(self) -> None:
        super().__init__()
        self._ring: list[tuple[int, str]] = []

    def on_endpoint_up(self, endpoint: Endpoint, now: int) -> None:
        """Its points join the ring."""
        if endpoint.name not in self.endpoints:
            points = [(_point(f"{endpoint.name}#{i}"), endpoint.name) for i in range(_POINTS)]
            self._ring = sorted([*self._ring, *points])
        super().on_endpoint_up(endpoint, now)

    def on_endpoint_gone(self, name: str, now: int) -> None:
        """Its points leave the ring; only its own sessions move."""
        super().on_endpoint_gone(name, now)
        self._ring = [(point, owner) for point, owner in self._ring if owner != name]

    def choose(self, request: Request, usable: list[str], now: int, rng: random.Random) -> str:
        """The first usable endpoint from the session's point on."""
        _ = now, rng
        allowed = set(usable)
        start = bisect(self._ring, (_point(request.session or request.id), ""))
        ring = self._ring
        owners = (ring[(start + step) % len(ring)][1] for step in range(len(ring)))
        return next(owner for owner in owners if owner in allowed)


def _point(key: str) -> int:
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "big")
