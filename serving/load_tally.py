"""An engine's load, put together from what its steps report and what its requests do.

A step reports what the scheduler runs. It does not come when nothing is left to run, so that the
last report may speak of a request that was aborted since; and it comes too late for a burst of
arrivals. So requests are counted here too, and bound what the last step said.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from serving.engine import EngineLoad
from serving.recent_mean import RecentMean
from serving.recent_quantile import RecentQuantile

RECENT_HALF_LIFE_S = 5.0
"""How fast the latencies forget: a few load reports, many tokens."""
RECENT_S = 1.0
"""What the tail is of: an engine that has come to its limit is to be told of at once."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one step of an engine reports. Tokens and latencies are those of this step."""

    running_requests: int
    kv_usage: float
    prefix_hit_tokens: int = 0
    prefix_query_tokens: int = 0
    generated_tokens: int = 0
    ttfts_s: Sequence[float] = ()
    itls_s: Sequence[float] = ()


@dataclass(slots=True)
class _Request:
    sequences: int
    queued_tokens: int


class LoadTally:
    """Counts; calls its listeners at each change."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._listeners: list[Callable[[], None]] = []
        self._requests: dict[str, _Request] = {}
        self._unfinished = 0
        self._queued_tokens = 0
        self._running = 0
        self._kv_usage = 0.0
        self.forget_totals()

    def on_change(self, listener: Callable[[], None]) -> None:
        """Calls listener from now on."""
        self._listeners.append(listener)

    def arrived(self, request_id: str, prompt_tokens: int, sequences: int) -> None:
        """A request goes to the engine: each of its sequences takes a place there."""
        self._requests[request_id] = _Request(sequences, prompt_tokens)
        self._unfinished += sequences
        self._queued_tokens += prompt_tokens
        self._tell()

    def prefilled(self, request_id: str) -> None:
        """The first output of a request is there."""
        request = self._requests[request_id]
        self._queued_tokens -= request.queued_tokens
        request.queued_tokens = 0

    def sequence_ended(self, request_id: str) -> None:
        """One sequence of a request is complete."""
        request = self._requests[request_id]
        if request.sequences:
            request.sequences -= 1
            self._unfinished -= 1

    def ended(self, request_id: str) -> None:
        """A request is complete, or given up."""
        request = self._requests.pop(request_id)
        self._unfinished -= request.sequences
        self._queued_tokens -= request.queued_tokens
        self._tell()

    def stepped(self, step: Step) -> None:
        """The engine has made a step."""
        now_s = self._clock_s()
        self._running = step.running_requests
        self._kv_usage = step.kv_usage
        self._hit_tokens += step.prefix_hit_tokens
        self._query_tokens += step.prefix_query_tokens
        self._generated_tokens += step.generated_tokens
        if step.ttfts_s:
            self._ttft.add(sum(step.ttfts_s), len(step.ttfts_s), now_s)
        if step.itls_s:
            self._itl.add(sum(step.itls_s), len(step.itls_s), now_s)
            self._itl_p95.add(sum(step.itls_s) / len(step.itls_s), len(step.itls_s), now_s)
        self._tell()

    def forget_totals(self) -> None:
        """Starts all totals and means anew: what came before was no client's."""
        self._hit_tokens = self._query_tokens = self._generated_tokens = 0
        self._ttft = RecentMean(RECENT_HALF_LIFE_S)
        self._itl = RecentMean(RECENT_HALF_LIFE_S)
        self._itl_p95 = RecentQuantile(0.95, RECENT_S)

    def load(self) -> EngineLoad:
        """The load as of now."""
        running = min(self._running, self._unfinished)
        return EngineLoad(
            running_requests=running,
            waiting_requests=self._unfinished - running,
            queued_prefill_tokens=self._queued_tokens,
            kv_usage=self._kv_usage if self._unfinished else 0.0,
            prefix_hit_tokens=self._hit_tokens,
            prefix_query_tokens=self._query_tokens,
            generated_tokens=self._generated_tokens,
            ttft_s=self._ttft.value,
            itl_s=self._itl.value,
        )

    def itl_s_p95(self) -> float:
        """The tail of the inter-token latencies as of now, in seconds; 0 where none is recent."""
        return self._itl_p95.value(self._clock_s())

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()
