"""A load report in the message by which gateways ask for the load."""

from datetime import UTC, datetime
from typing import Final

from wire.engine import engine_pb2 as pb
from wire.spillway.v1.load_pb2 import LoadReport

SPAN_MIN_S: Final = 1.0
"""Between two looks at a total: over less than that, an engine's steps make its rate jump."""

_NS_PER_S: Final = 1_000_000_000


class Loads:
    """Answers GetLoads from reports of one server, which is its one rank: 0."""

    def __init__(self) -> None:
        self._seen: tuple[int, float] | None = None
        self._tokens_per_s = 0.0

    def response(
        self, asked: pb.GetLoadsRequest, report: LoadReport, version: str, now_s: float
    ) -> pb.GetLoadsResponse:
        """The report as loads, at now_s of a clock that never goes back."""
        sampled = datetime.fromtimestamp(report.sampled_unix_ns / _NS_PER_S, UTC)
        told = pb.GetLoadsResponse(timestamp=sampled.isoformat(), version=version, dp_rank_count=1)
        tokens_per_s = self._rate(report.generated_tokens, now_s)
        if asked.dp_rank:
            return told
        running, waiting = report.running_requests, report.waiting_requests
        told.loads.add(
            num_running_reqs=running,
            num_waiting_reqs=waiting,
            num_total_reqs=running + waiting,
            num_used_tokens=round(report.kv_usage * report.kv_tokens_max),
            max_total_num_tokens=report.kv_tokens_max,
            token_usage=report.kv_usage,
            gen_throughput=tokens_per_s,
            cache_hit_rate=_share(report.prefix_hit_tokens, report.prefix_query_tokens),
            utilization=_share(running, report.max_running_requests),
            max_running_requests=report.max_running_requests,
            num_waiting_uncached_tokens=report.queued_prefill_tokens,
        )
        return told

    def _rate(self, total: int, now_s: float) -> float:
        """Tokens a second since the look before; 0 upon the first, and after a total that fell.

        Looks that follow each other within SPAN_MIN_S are told the same.
        """
        if self._seen is None or total < self._seen[0]:
            self._seen, self._tokens_per_s = (total, now_s), 0.0
        before, then_s = self._seen
        if now_s - then_s >= SPAN_MIN_S:
            self._tokens_per_s = (total - before) / (now_s - then_s)
            self._seen = (total, now_s)
        return self._tokens_per_s


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
