"""Ray Serve's prefix-aware request router."""

import math
import random

from router.policy.request import Request
from router.sim.rivals.prefix_tree import PrefixTree
from router.sim.rivals.rival import Rival


class RayPrefix(Rival):
    """The replicas with the longest match if it is a tenth of the prompt, else those with least.

    Source: ray 2.60, ray.llm `PrefixCacheAffinityRouter`, defaults: match rate 0.1, no eviction,
    and a balance threshold that is infinite: beyond it two random choices would decide. Of the
    replicas that qualify, the shortest queue is taken.
    """

    def __init__(self, imbalanced: float = math.inf, match_rate: float = 0.1) -> None:
        super().__init__()
        self._imbalanced, self._match_rate = imbalanced, match_rate
        self._tree = PrefixTree()

    def choose(self, request: Request, usable: list[str], now: int, rng: random.Random) -> str:
        """See the class."""
        _ = now
        loads = [self.in_flight[name] for name in usable]
        if max(loads) - min(loads) > self._imbalanced:
            chosen = rng.sample(usable, min(2, len(usable)))
        else:
            matched, chosen = self._tree.best(request, usable)
            if not chosen or matched < self._match_rate * request.prompt_tokens:
                chosen = self._tree.smallest(usable)
        return min(chosen, key=self.in_flight.__getitem__)

    def saw_send(self, request: Request, endpoint: str, now: int) -> None:
        """What is sent is taken to be cached."""
        self._tree.add(endpoint, request, now)

    def saw_lost(self, endpoint: str, now: int) -> None:
        """A replica that died is no tenant any more."""
        _ = now
        self._tree.forget(endpoint)
