"""Preble's E2: exploit a cached prefix where it is worth more than what it lacks, else explore."""

import random
from collections import deque

from router.policy.outcome import Ended
from router.policy.request import Request
from router.policy.units import NS_PER_S
from router.sim.rivals.prefix_tree import PrefixTree
from router.sim.rivals.rival import Rival

_WINDOW_NS = 180 * NS_PER_S
_UNEVEN = 1.5
_PREFILL_MS = 0.0799  # for each token, Llama-3-70B TP2 on H100, as published with it
_DECODE_MS = 0.00269  # for each output token and token of context
_OUTPUT_START = 128.0
_OUTPUT_GAIN = 1 / 64


class PrebleE2(Rival):
    """argmin, over the GPUs to consider, of the prefill and decode load of the last three minutes.

    With fewer tokens to compute than matched, the GPUs of the matched prefix are considered; else
    all. This request's own prefill counts. Where the choice is the most loaded of all and has more
    than 1.5 times the load of the least, the least is taken: its load is rebalanced.

    Source: Preble (ICLR 2025), section on E2, with its window and its step-time equations.
    """

    def __init__(self) -> None:
        super().__init__()
        self._tree = PrefixTree(age_max_ns=_WINDOW_NS)
        self._recent: dict[str, deque[tuple[int, float]]] = {}
        self._load_ms: dict[str, float] = {}
        self._output = _OUTPUT_START

    def choose(self, request: Request, usable: list[str], now: int, rng: random.Random) -> str:
        """See the class."""
        loads = {name: self._load(name, now) for name in usable}
        matched, holders = self._tree.best(request, usable)
        exploits = bool(holders) and request.prompt_tokens - matched < matched
        costs = {
            name: loads[name] + self._prefill_ms(request, name)
            for name in (holders if exploits else usable)
        }
        least_cost = min(costs.values())
        chosen = rng.choice([name for name, cost in costs.items() if cost == least_cost])
        least = min(usable, key=loads.__getitem__)
        if loads[chosen] == max(loads.values()) and loads[chosen] > _UNEVEN * loads[least]:
            return least
        return chosen

    def saw_send(self, request: Request, endpoint: str, now: int) -> None:
        """Its prefill and its expected decoding are load for three minutes."""
        decode_ms = _DECODE_MS * self._output * request.prompt_tokens
        load_ms = self._prefill_ms(request, endpoint) + decode_ms
        self._recent.setdefault(endpoint, deque()).append((now, load_ms))
        self._load_ms[endpoint] = self._load_ms.get(endpoint, 0.0) + load_ms
        self._tree.add(endpoint, request, now)

    def saw_end(self, request: Request, outcome: Ended, now: int) -> None:
        """Learn the mean length of answers."""
        _ = request, now
        if outcome.output_tokens:
            self._output += _OUTPUT_GAIN * (outcome.output_tokens - self._output)

    def on_tick(self, now: int) -> None:
        """Forget prefixes that nobody used for a window."""
        self._tree.expire(now)

    def saw_lost(self, endpoint: str, now: int) -> None:
        """Its cache is gone."""
        _ = now
        self._tree.forget(endpoint)

    def _load(self, endpoint: str, now: int) -> float:
        recent = self._recent.get(endpoint)
        while recent and now - recent[0][0] > _WINDOW_NS:
            self._load_ms[endpoint] -= recent.popleft()[1]
        return self._load_ms.get(endpoint, 0.0) if recent else 0.0

    def _prefill_ms(self, request: Request, endpoint: str) -> float:
        uncached = request.prompt_tokens - self._tree.matched_tokens(endpoint, request)
        return _PREFILL_MS * uncached
