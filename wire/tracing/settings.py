"""Where an end of the wire reports its spans, and how many of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

QUEUE_MAX: Final = 4_096
"""Spans that wait for the collector: some seconds of a busy router, 4 to 8 MB."""

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_DEFAULT_ENDPOINT: Final = "http://localhost:4317"


@dataclass(frozen=True, slots=True)
class TracingSettings:
    """What is left out is as OpenTelemetry's own environment variables say; they may say nothing.

    `endpoint` is the URL of an OTLP collector that is spoken to by gRPC.
    """

    endpoint: str | None = None  # None: as OTEL_EXPORTER_OTLP_ENDPOINT says, and else nowhere
    sampled: float | None = None  # of requests that came without a trace; None: OTEL_TRACES_SAMPLER
    queue_max: int = QUEUE_MAX  # spans; what comes while they wait is dropped, and delays nothing


def endpoint_of(settings: TracingSettings, environ: Mapping[str, str]) -> str | None:
    """Where spans go; None: nowhere."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    if settings.endpoint is not None:
        return settings.endpoint
    exporters = {name.strip() for name in environ.get("OTEL_TRACES_EXPORTER", "").split(",")}
    if not exporters & {"", "otlp", "otlp_proto_grpc"}:
        return None
    for name in _ENDPOINTS:
        if environ.get(name):
            return environ[name]
    return _DEFAULT_ENDPOINT if exporters != {""} else None


def protocol_problem(settings: TracingSettings, environ: Mapping[str, str]) -> str:
    """Why the environment's collector cannot be spoken to; empty where it can."""
    if settings.endpoint is not None:
        return ""
    protocol = next((environ[name] for name in _PROTOCOLS if environ.get(name)), "grpc")
    if protocol == "grpc":
        return ""
    return (
        f"spans are sent by gRPC, and OTEL_EXPORTER_OTLP_PROTOCOL says {protocol}; set it to grpc,"
        " and the endpoint to the collector's port for gRPC (4317)"
    )
