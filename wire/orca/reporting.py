"""A load report as ORCA has it: on a stream of its own, or in the trailers of an answer."""

from collections.abc import Iterable
from typing import Final

from wire.malformed import Malformed
from wire.orca.load_pb2 import OrcaLoadReport
from wire.orca.service_pb2 import OrcaLoadReportRequest
from wire.spillway.v1.load_pb2 import LoadReport
from wire.status import Metadata, bad_field

SERVICE: Final = "xds.service.orca.v3.OpenRcaService"

TRAILER_KEY: Final = "endpoint-load-metrics-bin"
"""What load balancers of gRPC look for."""

FORMAT_KEY: Final = "endpoint-load-metrics-format"
"""Metadata by which a client says that it wants the report in the trailers."""

FORMAT: Final = "BIN"
"""The format that gRPC's trailers have."""

INTERVAL_S: Final = 1.0
INTERVAL_MIN_S: Final = 0.1
INTERVAL_MAX_S: Final = 60.0


def orca_of(report: LoadReport) -> OrcaLoadReport:
    """The report in ORCA's words."""
    told, places = OrcaLoadReport(), report.max_running_requests
    present = report.running_requests + report.waiting_requests
    told.application_utilization = present / places if places else 0.0
    told.utilization["kv_cache"] = report.kv_usage
    told.named_metrics["kv_cache_usage_perc"] = report.kv_usage
    told.named_metrics["num_requests_running"] = report.running_requests
    told.named_metrics["num_requests_waiting"] = report.waiting_requests
    return told


def wants_trailer(metadata: Iterable[tuple[str, str | bytes]]) -> bool:
    """Whether a client asked for the report in the trailers of its answer."""
    asked = (value for key, value in metadata if key == FORMAT_KEY)
    return any(isinstance(value, str) and value.upper() == FORMAT for value in asked)


def trailer_of(report: LoadReport) -> Metadata:
    """The report as a trailer."""
    return ((TRAILER_KEY, orca_of(report).SerializeToString()),)


def interval_s(request: OrcaLoadReportRequest | Malformed) -> float:
    """How often a client is told. Raises CallError for bytes that are no message."""
    if isinstance(request, Malformed):
        raise bad_field(request.field or "request", request.reason)
    asked = request.report_interval
    asked_s = asked.seconds + asked.nanos / 1e9 if request.HasField("report_interval") else 0.0
    return min(max(asked_s or INTERVAL_S, INTERVAL_MIN_S), INTERVAL_MAX_S)
