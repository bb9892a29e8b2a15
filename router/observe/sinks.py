"""The sinks of a router, wired together."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector

from router.observe.attempts import Attempts
from router.observe.decision_log import DecisionLog
from router.observe.event import Sink
from router.observe.fleet_collector import FleetCollector
from router.observe.fork import Fork
from router.observe.metrics import Metrics
from router.observe.recent_decisions import RecentDecisions
from router.observe.site_latency import SiteLatency
from router.policy.fleet import Fleet
from router.policy.snapshot import FleetSnapshot


class Sinks:
    """Metrics, recent latency and decisions and, where one is kept, the decision log."""

    def __init__(self, fleet: Fleet, log: DecisionLog | None) -> None:
        # A registry of its own, so that two routers in one process do not meet.
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        sites = tuple(site.name for site in fleet.sites)
        self.traces: dict[str, str] = {}  # by the id of an open request
        self.metrics = Metrics(self.registry, sites, self.traces)
        self.latency = SiteLatency(sites)
        self.recent = RecentDecisions()
        self.attempts = Attempts((self.metrics, self.latency))
        self._log = log
        if log is not None:
            Gauge(
                "spillway_decision_log_dropped_events",
                "Events that the decision log could not write since the start",
                registry=self.registry,
            ).set_function(lambda: log.dropped)

    def start(self, snapshot: Callable[[], FleetSnapshot]) -> None:
        """Begins the log. Raises OSError where it cannot be written."""
        if self._log is not None:
            self._log.start()
        self.registry.register(FleetCollector(snapshot))

    def with_others(self, *others: Sink | None) -> Fork:
        """All of them and these as one, whose failures are among the metrics."""
        fork = Fork((*others, self.attempts, self.metrics, self.latency, self.recent, self._log))
        Gauge(
            "spillway_sink_failed_events",
            "Events that one of those who hear of them failed of since the start",
            registry=self.registry,
        ).set_function(lambda: fork.failed)
        return fork

    def close(self) -> None:
        """Writes what is pending; may take seconds."""
        if self._log is not None:
            self._log.close()
