"""The metrics of several workers as those of one router.

Counters and histograms add up, and so do gauges of what each worker has for itself. A gauge of what
all of them see alike, an endpoint's load or whether a site drains, is the greatest that any sees;
when something began is the earliest.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

SUMMED: Final = frozenset(
    {
        "process_open_fds",
        "process_resident_memory_bytes",
        "process_virtual_memory_bytes",
        "spillway_decision_log_dropped_events",
        "spillway_endpoint_in_flight",
        "spillway_leases_open",
        "spillway_ledger_committed_attempts",
        "spillway_ledger_lost_attempts",
        "spillway_ledger_lost_usd",
        "spillway_link_sessions",
        "spillway_links",
        "spillway_open_streams",
        "spillway_sessions",
        "spillway_sink_failed_events",
        "spillway_store_held",
        "spillway_waiting",
        "spillway_wanted_replicas",
    }
)
"""The gauges of which each worker has its own share."""

_EARLIEST: Final = ("_created", "_start_time_seconds")

_DISCOVERY: Final = "spillway_discovery_failing"
"""Which workers do not know: the receiver discovers."""

_Key = tuple[str, tuple[tuple[str, str], ...]]


class Merged(Collector):
    """What was scraped, as one registry."""

    def __init__(self, texts: Sequence[bytes], failing: Mapping[str, bool] | None = None) -> None:
        """`texts` are in Prometheus' text format; `failing` says whose dashboard is not heard."""
        workers = Metric("spillway_workers", "Workers that gave their metrics", "gauge")
        workers.add_sample("spillway_workers", {}, len(texts))
        self._families: dict[str, Metric] = {workers.name: workers}
        self._values: dict[str, dict[_Key, float]] = {
            workers.name: {(workers.name, ()): len(texts)}
        }
        for text in texts:
            for family in text_string_to_metric_families(text.decode()):
                self._add(family)
        for site, fails in (failing or {}).items():
            discovery = self._values.setdefault(_DISCOVERY, {})
            discovery[_DISCOVERY, (("site", site),)] = float(fails)

    def collect(self) -> Iterator[Metric]:
        """Every family."""
        for name, family in self._families.items():
            merged = Metric(name, family.documentation, family.type)
            for (sample, labels), value in self._values[name].items():
                merged.add_sample(sample, dict(labels), value)
            yield merged

    def _add(self, family: Metric) -> None:
        self._families.setdefault(family.name, family)
        values = self._values.setdefault(family.name, {})
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            known = values.get(key)
            value = sample.value
            values[key] = value if known is None else _together(family, known, value)


def _together(family: Metric, one: float, other: float) -> float:
    if family.name.endswith(_EARLIEST):
        return min(one, other)
    if family.type == "gauge" and family.name not in SUMMED:
        return max(one, other)
    return one + other
