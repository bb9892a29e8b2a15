"""Prometheus metrics of a router: docs/metrics.md lists them.

Labels are sites, rules, ends, methods and status codes, all of which the fleet file or the code
bounds; endpoints come and go, so what is told of them is made at each scrape from those that are
there (router.observe.fleet_collector) and leaves nothing behind.
"""

from collections.abc import Callable, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from router.observe.event import (
    AskedAgain,
    Event,
    HedgeDue,
    OutcomeSeen,
    RequestArrived,
    RequestWithdrawn,
)
from router.policy.decision import Mode, Rule, Send, Wait
from router.policy.outcome import End, Ended
from router.policy.units import seconds

_TTFT_BUCKETS_S: Final = (
    0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0,
)  # fmt: skip
_ITL_BUCKETS_S: Final = (
    0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.5, 1.0,
)  # fmt: skip


class Metrics:
    """The counters and histograms that events move.

    Every series of a site exists from the start, at zero: a rate over it is right from the first
    event on, and no event has to look its series up by labels, which costs more than counting.
    """

    def __init__(self, registry: CollectorRegistry, sites: Sequence[str]) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"spillway_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: Sequence[float]) -> Histogram:
            return Histogram(
                f"spillway_{name}", text, ("site",), buckets=buckets, registry=registry
            )

        decisions = counter(
            "decisions",
            "Decisions on requests and on failed attempts; no site where none could serve",
            "rule",
            "site",
        )
        attempts = counter("attempts", "Attempts that ended", "site", "end")
        retries = counter("retries", "Attempts after a request's first", "site")
        resumes = counter(
            "resumes", "Streams that went on elsewhere after they had begun", "site", "mode"
        )
        hedges = counter("hedges", "Second attempts for overdue first tokens", "site")
        tokens = counter("output_tokens", "Tokens generated", "site")
        egress = counter("egress_bytes", "Response bytes from a site", "site")
        ttft = histogram("ttft_seconds", "From an attempt to its first message", _TTFT_BUCKETS_S)
        itl = histogram("itl_seconds", "Mean gap between a stream's tokens", _ITL_BUCKETS_S)
        self._decided = {(r, s): decisions.labels(r.value, s) for r in Rule for s in ("", *sites)}
        self._attempts = {(s, e): attempts.labels(s, e.value) for s in sites for e in End}
        self._retries = {site: retries.labels(site) for site in sites}
        self._resumes = {(s, m): resumes.labels(s, m.value) for s in sites for m in Mode}
        self._hedges = {site: hedges.labels(site) for site in sites}
        self._tokens = {site: tokens.labels(site) for site in sites}
        self._egress = {site: egress.labels(site) for site in sites}
        self._ttft = {site: ttft.labels(site) for site in sites}
        self._itl = {site: itl.labels(site) for site in sites}
        self._calls = counter(
            "calls", "Calls of vllm.Inference that ended, by status", "method", "code"
        )
        self._waits = Histogram(
            "spillway_wait_seconds",
            "What a request waited in the router before it was sent or refused",
            buckets=_TTFT_BUCKETS_S,
            registry=registry,
        )
        self._since: dict[str, int] = {}  # those who wait
        self._discovery = Gauge(
            "spillway_discovery_failing",
            "1 while the site's dashboard cannot be asked",
            ("site",),
            registry=registry,
        )

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(f"spillway_{name}", text, ("site",), registry=registry)

        self._links = gauge("links", "Links to endpoints that stand")
        self._link_sessions = gauge("link_sessions", "Streams that go over links")

    def watch_links(
        self, site: str, standing: Callable[[], int], sessions: Callable[[], int]
    ) -> None:
        """Shows how many links to a site's endpoints stand, and how many streams are on them."""
        self._links.labels(site).set_function(standing)
        self._link_sessions.labels(site).set_function(sessions)

    def watch_discovery(self, site: str, failing: Callable[[], bool]) -> None:
        """Shows whether a site's dashboard cannot be asked."""
        self._discovery.labels(site).set_function(lambda: float(failing()))

    def on_event(self, event: Event) -> None:
        """See Sink."""
        decision = event.decision
        self._count_waits(event)
        if isinstance(decision, Send) and not isinstance(event.happening, RequestArrived):
            self._count_again(event, decision)
        for one in (decision, *event.released):
            if one is not None:
                self._decided[one.rule, one.site if isinstance(one, Send) else ""].inc()

    def _count_waits(self, event: Event) -> None:
        if isinstance(event.happening, RequestWithdrawn):
            self._since.pop(event.happening.request, None)
        if isinstance(event.decision, Wait):
            self._since[event.decision.request] = event.now_ns
        for answer in event.released:
            since_ns = self._since.pop(answer.request, None)
            if since_ns is not None:
                self._waits.observe(seconds(event.now_ns - since_ns))

    def _count_again(self, event: Event, decision: Send) -> None:
        """What follows a failed attempt is a retry, or the rest of what it had begun."""
        if isinstance(event.happening, HedgeDue):
            self._hedges[decision.site].inc()
            return
        if isinstance(event.happening, OutcomeSeen):
            outcome = event.happening.outcome
            goes_on = isinstance(outcome, Ended) and outcome.messages > 0
        else:  # what waited for an endpoint, and not after an attempt to go on had failed
            goes_on = isinstance(event.happening, AskedAgain) and not event.happening.again.below
        if goes_on:
            self._resumes[decision.site, decision.mode].inc()
            return
        self._retries[decision.site].inc()

    def on_first_token(self, site: str, ttft_ns: int, now_ns: int) -> None:
        """See AttemptListener."""
        _ = now_ns
        self._ttft[site].observe(seconds(ttft_ns))

    def on_ended(self, site: str, ended: Ended, itl_ns: int | None, now_ns: int) -> None:
        """See AttemptListener."""
        _ = now_ns
        self._attempts[site, ended.end].inc()
        self._tokens[site].inc(ended.output_tokens)
        self._egress[site].inc(ended.egress_bytes)
        if itl_ns is not None:
            self._itl[site].observe(seconds(itl_ns))

    def on_call(self, method: str, code: str) -> None:
        """A client's call ended with this status."""
        self._calls.labels(method, code).inc()
