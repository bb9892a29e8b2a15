"""llm-d's scheduler, which is the Gateway API inference extension's: a weighted sum of scores."""

import random

from router.policy.load import LoadReport
from router.policy.request import Request
from router.policy.units import NS_PER_MS
from router.sim.rivals.cache_index import CacheIndex
from router.sim.rivals.rival import Rival

_TREE_TOKENS_MAX = 31_250 * 16  # its index's capacity for each server: blocks of 64 characters


class LlmD(Rival):
    """argmax of 2 * queue score + 2 * (1 - KV use) + 3 * matched share of the prompt.

    The queue score is (longest - own) / (longest - shortest) of the waiting requests, 1 where all
    are alike; ties at random. Queue and KV use are scraped every 50 ms.

    Source: llm-d-inference-scheduler and gateway-api-inference-extension, default profile.
    Prefix knowledge is precise, from the engines' events, where they report them.
    """

    report_interval_ns = 50 * NS_PER_MS

    def __init__(
        self, queue_weight: float = 2.0, kv_weight: float = 2.0, prefix_weight: float = 3.0
    ) -> None:
        super().__init__()
        self._weights = queue_weight, kv_weight, prefix_weight
        self._cache = CacheIndex(tokens_max=_TREE_TOKENS_MAX)
        self._reports: dict[str, LoadReport] = {}

    def choose(self, request: Request, usable: list[str], now: int, rng: random.Random) -> str:
        """See the class."""
        _ = now
        scores = self.scores(request, usable)
        most = max(scores.values())
        return rng.choice([name for name in usable if scores[name] == most])

    def scores(self, request: Request, usable: list[str]) -> dict[str, float]:
        """The weighted sums."""
        queue_weight, kv_weight, prefix_weight = self._weights
        reports = [self._reports.get(name) for name in usable]
        queues = [report.waiting if report else 0 for report in reports]
        longest, shortest = max(queues), min(queues)
        scores = {}
        for name, report, queue in zip(usable, reports, queues, strict=True):
            spread = longest - shortest
            queue_score = (longest - queue) / spread if spread else 1.0
            kv_score = 1.0 - (report.kv_usage if report else 0.0)
            matched = self._cache.cached_tokens(name, request) / max(1, request.prompt_tokens)
            scores[name] = (
                queue_weight * queue_score + kv_weight * kv_score + prefix_weight * matched
            )
        return scores

    def on_load(self, report: LoadReport, now: int) -> None:
        """The metrics of one endpoint."""
        self._reports[report.endpoint] = report
        self._cache.on_load(report, now)

    def saw_send(self, request: Request, endpoint: str, now: int) -> None:
        """What is sent is taken to be cached."""
        self._cache.on_send(endpoint, request, now)

    def saw_lost(self, endpoint: str, now: int) -> None:
        """Its cache is gone."""
        _ = now
        self._cache.forget(endpoint)
