"""Prometheus metrics of a router: docs/metrics.md lists them.

Labels are sites, rules, ends, methods and status codes, all of which the fleet file or the code
bounds; endpoints come and go, so what is told of them is made at each scrape from those that are
there (router.observe.fleet_collector) and leaves nothing behind.
"""

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from router.observe.event import Event, RequestArrived
from router.policy.decision import Send
from router.policy.outcome import Ended
from router.policy.units import seconds

_TTFT_BUCKETS_S: Final = (
    0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0,
)  # fmt: skip
_ITL_BUCKETS_S: Final = (
    0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.5, 1.0,
)  # fmt: skip


class Metrics:
    """The counters and histograms that events move."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._decisions = Counter(
            "spillway_decisions",
            "Decisions on requests and on failed attempts; no site where none could serve",
            ("rule", "site"),
            registry=registry,
        )
        self._retries = Counter(
            "spillway_retries", "Attempts after a request's first", ("site",), registry=registry
        )
        self._attempts = Counter(
            "spillway_attempts", "Attempts that ended", ("site", "end"), registry=registry
        )
        self._ttft = Histogram(
            "spillway_ttft_seconds",
            "From sending an attempt to its first message",
            ("site",),
            buckets=_TTFT_BUCKETS_S,
            registry=registry,
        )
        self._itl = Histogram(
            "spillway_itl_seconds",
            "Mean gap between the tokens of a stream",
            ("site",),
            buckets=_ITL_BUCKETS_S,
            registry=registry,
        )
        self._tokens = Counter(
            "spillway_output_tokens", "Tokens generated", ("site",), registry=registry
        )
        self._egress = Counter(
            "spillway_egress_bytes", "Response bytes from a site", ("site",), registry=registry
        )
        self._discovery = Gauge(
            "spillway_discovery_failing",
            "1 while the site's dashboard cannot be asked",
            ("site",),
            registry=registry,
        )
        self._calls = Counter(
            "spillway_calls",
            "Calls of vllm.Inference that ended, by status",
            ("method", "code"),
            registry=registry,
        )

    def watch_discovery(self, site: str, failing: Callable[[], bool]) -> None:
        """Shows whether a site's dashboard cannot be asked."""
        self._discovery.labels(site).set_function(lambda: float(failing()))

    def on_event(self, event: Event) -> None:
        """See Sink."""
        decision = event.decision
        if decision is None:
            return
        if isinstance(decision, Send):
            self._decisions.labels(decision.rule.value, decision.site).inc()
            if not isinstance(event.happening, RequestArrived):
                self._retries.labels(decision.site).inc()
        else:
            self._decisions.labels(decision.rule.value, "").inc()

    def on_first_token(self, site: str, ttft_ns: int, now_ns: int) -> None:
        """See AttemptListener."""
        _ = now_ns
        self._ttft.labels(site).observe(seconds(ttft_ns))

    def on_ended(self, site: str, ended: Ended, itl_ns: int | None, now_ns: int) -> None:
        """See AttemptListener."""
        _ = now_ns
        self._attempts.labels(site, ended.end.value).inc()
        self._tokens.labels(site).inc(ended.output_tokens)
        self._egress.labels(site).inc(ended.egress_bytes)
        if itl_ns is not None:
            self._itl.labels(site).observe(seconds(itl_ns))

    def on_call(self, method: str, code: str) -> None:
        """A client's call ended with this status."""
        self._calls.labels(method, code).inc()
