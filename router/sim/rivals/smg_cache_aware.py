"""The cache-aware policy of SGLang's router, now smg."""

import random

from router.policy.request import Request
from router.sim.rivals.prefix_tree import PrefixTree
from router.sim.rivals.rival import Rival

_TREE_TOKENS_MAX = 1 << 24  # max_tree_size, 2^26 characters, at four characters a token


class SmgCacheAware(Rival):
    """The shortest queue while the load is uneven; else the worker that has most of the prompt.

    Source: sgl-project/sglang sgl-model-gateway and lightseekorg/smg, policy `cache_aware`. The
    load is uneven if max - min > `balance_abs` and max > `balance_rel` * min requests in flight;
    a match counts above `cache_threshold` of the prompt, and without one the worker with the
    smallest tree is taken. The defaults are the library's; `python_defaults` has those of its
    command.
    """

    def __init__(
        self, cache_threshold: float = 0.5, balance_abs: int = 32, balance_rel: float = 1.0001
    ) -> None:
        super().__init__()
        self._cache_threshold = cache_threshold
        self._balance_abs, self._balance_rel = balance_abs, balance_rel
        self._tree = PrefixTree(tokens_max=_TREE_TOKENS_MAX)

    @classmethod
    def python_defaults(cls) -> "SmgCacheAware":
        """With the defaults of `python -m sglang_router.launch_router`."""
        return cls(cache_threshold=0.3, balance_abs=64, balance_rel=1.5)

    def choose(self, request: Request, usable: list[str], now: int, rng: random.Random) -> str:
        """See the class."""
        _ = now
        loads = [self.in_flight[name] for name in usable]
        most, least = max(loads), min(loads)
        if most - least > self._balance_abs and most > self._balance_rel * least:
            return usable[loads.index(least)]
        matched, holders = self._tree.best(request, usable)
        if matched > self._cache_threshold * request.prompt_tokens:
            return holders[0]
        return rng.choice(self._tree.smallest(usable))

    def saw_send(self, request: Request, endpoint: str, now: int) -> None:
        """What is sent is taken to be cached."""
        self._tree.add(endpoint, request, now)

    def saw_lost(self, endpoint: str, now: int) -> None:
        """A worker that is removed takes its tree along."""
        _ = now
        self._tree.forget(endpoint)
