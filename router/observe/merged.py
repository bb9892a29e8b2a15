"""The metrics of several workers as those of one router.

Counters and histograms add up, and so do gauges of what each worker has for itself. A gauge of what
all of them see alike, an endpoint's load or whether a site drains, is the greatest that any sees;
when something began is the earliest.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from prometheus_client.core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar, Sample

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
        "spillway_rollout_answers",
        "spillway_sessions",
        "spillway_sink_failed_events",
        "spillway_store_held",
        "spillway_waiting",
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
        """`texts` are in OpenMetrics' text format; `failing` says whose dashboard is not heard."""
        workers = Metric("spillway_workers", "Workers that gave their metrics", "gauge")
        workers.add_sample("spillway_workers", {}, len(texts))
        self._families: dict[str, Metric] = {workers.name: workers}
        self._samples: dict[str, dict[_Key, Sample]] = {workers.name: _keyed(workers)}
        for text in texts:
            families: Iterator[Metric] = text_string_to_metric_families(text.decode())  # type: ignore[no-untyped-call]
            for family in families:
                self._add(family)
        discovery = self._samples.setdefault(_DISCOVERY, {})
        for site, fails in (failing or {}).items():
            labels = {"site": site}
            discovery[_DISCOVERY, tuple(labels.items())] = Sample(_DISCOVERY, labels, float(fails))

    def collect(self) -> Iterator[Metric]:
        """Every family."""
        for name, family in self._families.items():
            merged = Metric(name, family.documentation, family.type)
            merged.samples = [*self._samples[name].values()]
            yield merged

    def _add(self, family: Metric) -> None:
        self._families.setdefault(family.name, family)
        samples = self._samples.setdefault(family.name, {})
        for key, sample in _keyed(family).items():
            known = samples.get(key)
            samples[key] = sample if known is None else _together(family, known, sample)


def _keyed(family: Metric) -> dict[_Key, Sample]:
    return {(one.name, tuple(sorted(one.labels.items()))): one for one in family.samples}


def _together(family: Metric, one: Sample, other: Sample) -> Sample:
    if one.name.endswith(_EARLIEST):
        value = min(one.value, other.value)
    elif family.type == "gauge" and family.name not in SUMMED:
        value = max(one.value, other.value)
    else:
        value = one.value + other.value
    return one._replace(value=value, exemplar=_latest(one.exemplar, other.exemplar))


def _latest(one: Exemplar | None, other: Exemplar | None) -> Exemplar | None:
    """A bucket has one exemplar, of the latest request in it at any worker."""
    told = [exemplar for exemplar in (one, other) if exemplar is not None]
    return max(told, key=lambda exemplar: float(exemplar.timestamp or 0), default=None)
