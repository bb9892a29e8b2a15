"""Prometheus metrics of a router: docs/metrics.md lists them.

Labels are sites, rules, ends, methods and status codes, all of which the fleet file or the code
bounds; endpoints come and go, so what is told of them is made at each scrape from those that are
there (router.observe.fleet_collector) and leaves nothing behind.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from router.observe.event import (
    AskedAgain,
    Event,
    FleetChanged,
    HedgeDue,
    OutcomeSeen,
    RequestArrived,
    RequestWithdrawn,
)
from router.policy.decision import Mode, Rule, Send, Wait
from router.policy.hedge import hedge_id
from router.policy.loan import Away
from router.policy.outcome import End, Ended, FirstToken
from router.policy.units import seconds

_TTFT_BUCKETS_S: Final = (
    0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0,
)  # fmt: skip
_ITL_BUCKETS_S: Final = (
    0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.5, 1.0,
)  # fmt: skip

_HEDGE: Final = hedge_id("")
"""What a second attempt's id ends with."""

SITES_MAX: Final = 1_000
"""Sites with series of their own: of more, those that a reload took out longest ago are dropped."""


class _SiteSeries:
    """The counters and histograms of one site; the families make them."""

    def __init__(self, families: "_Families", site: str) -> None:
        self.decided = {r: families.decisions.labels(r.value, site) for r in Rule}
        self.attempts = {end: families.attempts.labels(site, end.value) for end in End}
        self.resumes = {mode: families.resumes.labels(site, mode.value) for mode in Mode}
        self.retries = families.retries.labels(site)
        self.hedges = families.hedges.labels(site)
        self.tokens = families.tokens.labels(site)
        self.egress = families.egress.labels(site)
        self.ttft = families.ttft.labels(site)
        self.itl = families.itl.labels(site)


class _Families:
    """What is counted of every site."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"spillway_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: Sequence[float]) -> Histogram:
            return Histogram(
                f"spillway_{name}", text, ("site",), buckets=buckets, registry=registry
            )

        self.decisions = counter(
            "decisions",
            "Decisions on requests and on failed attempts; no site where none could serve",
            "rule",
            "site",
        )
        self.attempts = counter("attempts", "Attempts that ended", "site", "end")
        self.retries = counter("retries", "Attempts after a request's first", "site")
        self.resumes = counter(
            "resumes", "Streams that went on elsewhere after they had begun", "site", "mode"
        )
        self.hedges = counter("hedges", "Second attempts for overdue first tokens", "site")
        self.tokens = counter("output_tokens", "Tokens generated", "site")
        self.egress = counter("egress_bytes", "Response bytes from a site", "site")
        self.ttft = histogram(
            "ttft_seconds", "From an attempt to its first message", _TTFT_BUCKETS_S
        )
        self.itl = histogram("itl_seconds", "Mean gap between a stream's tokens", _ITL_BUCKETS_S)

    def forget(self, site: str) -> None:
        """Drops the series of a site."""
        for rule in Rule:
            self.decisions.remove(rule.value, site)
        for end in End:
            self.attempts.remove(site, end.value)
        for mode in Mode:
            self.resumes.remove(site, mode.value)
        for family in (self.retries, self.hedges, self.tokens, self.egress, self.ttft, self.itl):
            family.remove(site)


class Metrics:
    """The counters and histograms that events move.

    Every series of a site exists from the start, at zero: a rate over it is right from the first
    event on, and no event has to look its series up by labels, which costs more than counting.
    Those of a site that the fleet file has no longer stay as they are.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        sites: Sequence[str],
        traces: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """`traces` are those that somebody may look at, by the id of the open request in each."""

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"spillway_{name}", text, labels, registry=registry)

        self._traces = traces
        self._families = _Families(registry)
        self._nowhere = {r: self._families.decisions.labels(r.value, "") for r in Rule}
        self._sites = {site: _SiteSeries(self._families, site) for site in sites}
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
        self._wanted = gauge("wanted_replicas", "Replicas that this router wants a site to have")
        self._lent = gauge("lent_replicas", "Replicas given to other work")
        self._lent_until = gauge(
            "lent_until_timestamp_seconds", "When fewer are given away; 0 while none is"
        )

    def watch_links(
        self, site: str, standing: Callable[[], int], sessions: Callable[[], int]
    ) -> None:
        """Shows how many links to a site's endpoints stand, and how many streams are on them."""
        self._links.labels(site).set_function(standing)
        self._link_sessions.labels(site).set_function(sessions)

    def set_wanted(self, site: str, replicas: int) -> None:
        """Shows how many replicas a site that scales should have."""
        self._wanted.labels(site).set(replicas)

    def watch_lent(self, site: str, away: Callable[[], Away]) -> None:
        """Shows how many replicas a site lends, and when fewer are."""
        self._lent.labels(site).set_function(lambda: away().replicas)
        self._lent_until.labels(site).set_function(lambda: seconds(away().until_unix_ns))

    def watch_discovery(self, site: str, failing: Callable[[], bool]) -> None:
        """Shows whether a site's dashboard cannot be asked."""
        self._discovery.labels(site).set_function(lambda: float(failing()))

    def on_event(self, event: Event) -> None:
        """See Sink."""
        decision = event.decision
        if isinstance(event.happening, FleetChanged):
            self._adopt([site.name for site in event.happening.fleet.sites])
        self._count_waits(event)
        if isinstance(decision, Send) and not isinstance(event.happening, RequestArrived):
            self._count_again(event, decision)
        for one in (decision, *event.released):
            if one is not None:
                at = self._sites[one.site].decided if isinstance(one, Send) else self._nowhere
                at[one.rule].inc()

    def _adopt(self, sites: Sequence[str]) -> None:
        for site in sites:
            series = self._sites.pop(site, None) or _SiteSeries(self._families, site)
            self._sites[site] = series  # those that there are come last
        while len(self._sites) > max(SITES_MAX, len(sites)):
            oldest = next(iter(self._sites))
            del self._sites[oldest]
            self._families.forget(oldest)
            gauges = (self._discovery, self._links, self._link_sessions)
            for gauge in (*gauges, self._wanted, self._lent, self._lent_until):
                with contextlib.suppress(KeyError):  # not every process has each
                    gauge.remove(oldest)

    def _count_waits(self, event: Event) -> None:
        if isinstance(event.happening, RequestWithdrawn):
            self._since.pop(event.happening.request, None)
        if isinstance(event.decision, Wait):
            self._since[event.decision.request] = event.now_ns
        for answer in event.released:
            since_ns = self._since.pop(answer.request, None)
            if since_ns is not None:
                waited_s = seconds(event.now_ns - since_ns)
                self._waits.observe(waited_s, self._exemplar(answer.request))

    def _count_again(self, event: Event, decision: Send) -> None:
        """What follows a failed attempt is a retry, or the rest of what it had begun."""
        if isinstance(event.happening, HedgeDue):
            self._sites[decision.site].hedges.inc()
            return
        if isinstance(event.happening, OutcomeSeen):
            outcome = event.happening.outcome
            goes_on = isinstance(outcome, Ended) and outcome.messages > 0
        else:  # what waited for an endpoint, and not after an attempt to go on had failed
            goes_on = isinstance(event.happening, AskedAgain) and not event.happening.again.below
        at = self._sites[decision.site]
        if goes_on:
            at.resumes[decision.mode].inc()
            return
        at.retries.inc()

    def on_first_token(self, site: str, first: FirstToken, now_ns: int) -> None:
        """See AttemptListener."""
        _ = now_ns
        at = self._sites.get(site)
        if at is not None:
            at.ttft.observe(seconds(first.ttft_ns), self._exemplar(first.request))

    def on_ended(self, site: str, ended: Ended, itl_ns: int | None, now_ns: int) -> None:
        """See AttemptListener."""
        _ = now_ns
        at = self._sites.get(site)
        if at is None:  # its series are dropped, and streams that it had end still
            return
        at.attempts[ended.end].inc()
        at.tokens.inc(ended.output_tokens)
        at.egress.inc(ended.egress_bytes)
        if itl_ns is not None:
            at.itl.observe(seconds(itl_ns), self._exemplar(ended.request))

    def _exemplar(self, request: str) -> dict[str, str] | None:
        """What leads from a bucket to a request in it: each bucket keeps one, the latest."""
        trace = self._traces.get(request.removesuffix(_HEDGE))
        return None if trace is None else {"trace_id": trace}

    def on_call(self, method: str, code: str) -> None:
        """A client's call ended with this status."""
        self._calls.labels(method, code).inc()
