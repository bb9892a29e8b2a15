"""Dynamo's KV router: prefill to come, less what is cached, plus blocks in use."""

import random
from bisect import bisect_left
from collections import Counter

from router.policy.load import LoadReport
from router.policy.outcome import Ended, FirstToken
from router.policy.request import Request
from router.policy.units import NS_PER_S
from router.sim.rivals.cache_index import CacheIndex
from router.sim.rivals.pending_tokens import PendingTokens
from router.sim.rivals.rival import Rival

_UNTOLD_AGE_NS = 120 * NS_PER_S  # its time to live for blocks of which no event tells


class DynamoKv(Rival):
    """The worker of least cost, ties at random.

    The cost of w, in blocks, is

        scale * max(0, (prefill tokens at w + prompt tokens) / block - credit * cached blocks)
        + |prompt blocks of w's unfinished requests, united with this prompt's|

    where prefill tokens are the uncached ones of requests without a first token.

    Source: ai-dynamo 1.6.1, lib/kv-router. Scale and credit are 1 by default; `tuned` has 8 and 2.

    Workers tell it of their caches at the end of each step. Where they tell less often, it goes by
    its own dispatches between; `hears_steps` is for a world in which they do tell.
    """

    report_interval_ns = 1 * NS_PER_S

    def __init__(
        self, *, scale: float = 1.0, credit: float = 1.0, hears_steps: bool = False
    ) -> None:
        super().__init__()
        self._scale, self._credit = scale, credit
        self._hears_steps = hears_steps
        self._cache = CacheIndex(age_max_ns=_UNTOLD_AGE_NS)
        self._prefill = PendingTokens()
        self._blocks: dict[str, Counter[int]] = {}  # named, of unfinished requests
        self._nameless: Counter[str] = Counter()  # full blocks whose content nobody shares

    @classmethod
    def tuned(cls) -> "DynamoKv":
        """Better than the defaults in every cell of a sweep over traces, workers and speeds."""
        return cls(scale=8.0, credit=2.0)

    def choose(self, request: Request, usable: list[str], now: int, rng: random.Random) -> str:
        """See the class."""
        _ = now
        return rng.choice(self.least(request, usable))

    def least(self, request: Request, usable: list[str]) -> list[str]:
        """Those of least cost."""
        costs = [self._cost(request, name) for name in usable]
        least = min(costs)
        return [name for name, cost in zip(usable, costs, strict=True) if cost == least]

    def on_load(self, report: LoadReport, now: int) -> None:
        """Only the cache's changes matter: its load is the router's own count."""
        self._cache.on_load(report, now)

    def on_tick(self, now: int) -> None:
        """Age what no event tells of."""
        self._cache.on_tick(now)

    def saw_send(self, request: Request, endpoint: str, now: int) -> None:
        """Its prefill is to come and its blocks are in use."""
        uncached = request.prompt_tokens - self._cache.cached_tokens(endpoint, request)
        self._prefill.on_send(request.id, endpoint, uncached)
        self._blocks.setdefault(endpoint, Counter()).update(request.prefix)
        self._nameless[endpoint] += _nameless_blocks(request)
        if not self._hears_steps:
            self._cache.on_send(endpoint, request, now)

    def saw_first_token(self, request: Request, outcome: FirstToken, now: int) -> None:
        """Its prefill is over."""
        _ = outcome, now
        self._prefill.on_started(request.id)

    def saw_end(self, request: Request, outcome: Ended, now: int) -> None:
        """Its blocks are in use no more."""
        _ = now
        self._prefill.on_started(request.id)
        self._nameless[outcome.endpoint] -= _nameless_blocks(request)
        blocks = self._blocks[outcome.endpoint]
        for block in request.prefix:
            if blocks[block] == 1:
                del blocks[block]
            else:
                blocks[block] -= 1

    def saw_lost(self, endpoint: str, now: int) -> None:
        """Its cache is gone."""
        _ = now
        self._cache.forget(endpoint)

    def _cost(self, request: Request, endpoint: str) -> float:
        size = request.prefix_block_tokens
        cached = self._cache.cached_tokens(endpoint, request) / size
        prefill = (self._prefill.tokens(endpoint) + request.prompt_tokens) / size
        return self._scale * max(0.0, prefill - self._credit * cached) + self._in_use(
            request, endpoint
        )

    def _in_use(self, request: Request, endpoint: str) -> int:
        """Blocks in use with this request's added; its prefix is closed, so bisection counts it."""
        blocks = self._blocks.get(endpoint, Counter())
        shared = bisect_left(request.prefix, True, key=lambda block: block not in blocks)
        new = len(request.prefix) - shared + _nameless_blocks(request)
        return len(blocks) + self._nameless[endpoint] + new


def _nameless_blocks(request: Request) -> int:
    return max(0, request.prompt_tokens // request.prefix_block_tokens - len(request.prefix))
