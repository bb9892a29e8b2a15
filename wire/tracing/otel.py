"""Spans by OpenTelemetry's SDK, which is an extra: only who has a collector imports this."""

import os
import threading
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio

from wire.tracing.context import TraceContext
from wire.tracing.settings import TracingSettings
from wire.tracing.spans import VALUE_CHARS_MAX, begin
from wire.tracing.tracer import Attributes, Kind, Span, Tracer

CLOSE_S: Final = 2.0
"""What a collector that is slow, or not there, may hold up the end of a process."""

_TIMEOUT_S: Final = 10
"""Of one batch, tries included; the queue holds what comes meanwhile."""

_BATCH_MAX: Final = 512


class OtelTracer(Tracer):
    """See Tracer. Two in one process do not meet, and neither is the process's own."""

    def __init__(
        self, settings: TracingSettings, endpoint: str, service: str, instance: str
    ) -> None:
        named = {"service.version": _version()}
        if not ("OTEL_SERVICE_NAME" in os.environ or "service.name" in _resource_attributes()):
            named["service.name"] = service
        if instance:
            named["service.instance.id"] = instance
        share = settings.sampled
        self._exporter = OTLPSpanExporter(endpoint=endpoint, timeout=_TIMEOUT_S)
        self._provider = TracerProvider(
            sampler=None if share is None else ParentBasedTraceIdRatio(share),
            resource=Resource.create(named),
            shutdown_on_exit=False,  # which would wait for a collector for half a minute
            span_limits=SpanLimits(max_attribute_length=VALUE_CHARS_MAX),
        )
        self._provider.add_span_processor(
            BatchSpanProcessor(
                self._exporter,
                max_queue_size=settings.queue_max,
                max_export_batch_size=min(_BATCH_MAX, settings.queue_max),
            )
        )
        self._tracer = self._provider.get_tracer("spillway", _version())

    def take_process(self) -> None:
        """Has the process's own spans, as those of the client, go where these go."""
        trace.set_tracer_provider(self._provider)

    @property
    def is_on(self) -> bool:
        """See Tracer."""
        return True

    def begin(
        self, name: str, kind: Kind, below: TraceContext | None, attributes: Attributes
    ) -> Span:
        """See Tracer."""
        return begin(self._tracer, name, kind, below, attributes)

    def close(self) -> None:
        """See Tracer. What the collector does not take within CLOSE_S is given up."""
        if not _closed(self._provider):
            self._exporter.shutdown()


def close_process() -> None:
    """Ends the tracing of the process itself, which a library has begun, within CLOSE_S."""
    _closed(trace.get_tracer_provider())


def _closed(provider: trace.TracerProvider) -> bool:
    """Whether a provider has sent what waits within CLOSE_S.

    The SDK's own shutdown waits for as long as its exporter tries.
    """
    if not isinstance(provider, TracerProvider):
        return True
    closing = threading.Thread(target=provider.shutdown, daemon=True)
    closing.start()
    closing.join(CLOSE_S)
    return not closing.is_alive()


def _resource_attributes() -> set[str]:
    text = os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    return {pair.partition("=")[0].strip() for pair in text.split(",")}


def _version() -> str:
    try:
        return version("spillway")
    except PackageNotFoundError:  # run from a folder of the source
        return "0"
