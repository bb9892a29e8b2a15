"""How it stands with a router's fleet file and audit log, as metrics."""

from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from router.live.acting import Acting
from wire.spillway.v1 import fleet_pb2 as pb


@dataclass(slots=True, eq=False)
class FileStanding(Collector):
    """Which fleet file a router goes by, and how the last reload went."""

    digest: str
    read_unix_ns: int
    tried_unix_ns: int = 0
    problem: str = ""  # why the last reload was refused
    done: int = 0

    def tell(self, state: pb.FleetState) -> None:
        """Says it in the fleet's state."""
        state.fleet_digest = self.digest
        state.fleet_read_unix_ns = self.read_unix_ns
        state.reload_problem = self.problem

    def describe(self) -> list[Metric]:
        """Nothing, so that registering does not collect."""
        return []

    def collect(self) -> Iterator[Metric]:
        """See docs/metrics.md."""
        info = GaugeMetricFamily(
            "spillway_fleet_file_info", "1, of the fleet file gone by", labels=("digest",)
        )
        info.add_metric((self.digest,), 1.0)
        yield info
        for name, text, value in (
            ("fleet_file_read_timestamp_seconds", "When it was read", self.read_unix_ns / 1e9),
            ("reload_failed", "1 where the last reload was refused", float(bool(self.problem))),
            ("reload_timestamp_seconds", "When one was last tried", self.tried_unix_ns / 1e9),
        ):
            yield GaugeMetricFamily(f"spillway_{name}", text, value=value)
        yield CounterMetricFamily("spillway_reloads", "Reloads that took place", value=self.done)


class AuditStanding(Collector):
    """How far the audit log is, and whether it can be written."""

    def __init__(self, acting: Acting) -> None:
        self._acting = acting

    def describe(self) -> list[Metric]:
        """Nothing, so that registering does not collect."""
        return []

    def collect(self) -> Iterator[Metric]:
        """See docs/metrics.md."""
        info = GaugeMetricFamily(
            "spillway_audit_head_info", "1, of the audit log's last record", labels=("digest",)
        )
        if self._acting.head is not None:
            info.add_metric((self._acting.head.digest,), 1.0)
        yield info
        failing = float(bool(self._acting.problem))
        text = "1 while it cannot be written, so that no action is taken"
        yield GaugeMetricFamily("spillway_audit_failing", text, value=failing)
        text = "Records that this process has written"
        yield CounterMetricFamily("spillway_audit_records", text, value=self._acting.records)
