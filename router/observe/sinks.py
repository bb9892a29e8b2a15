"""The sinks of a router, wired together."""

from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector

from router.observe.attempts import Attempts
from router.observe.decision_log import DecisionLog
from router.observe.event import Event, Sink
from router.observe.fleet_collector import FleetCollector
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

    def on_event(self, event: Event) -> None:
        """See Sink."""
        self.attempts.on_event(event)
        self.metrics.on_event(event)
        self.latency.on_event(event)
        self.recent.on_event(event)
        if self._log is not None:
            self._log.on_event(event)

    def close(self) -> None:
        """Writes what is pending; may take seconds."""
        if self._log is not None:
            self._log.close()


class Fork:
    """One sink that tells several."""

    def __init__(self, sinks: Sequence[Sink | None]) -> None:
        """None stands for one that there is not."""
        self._sinks = tuple(sink for sink in sinks if sink is not None)

    def on_event(self, event: Event) -> None:
        """See Sink."""
        for sink in self._sinks:
            sink.on_event(event)
