"""Spans by OpenTelemetry's API, whoever has set it up: neither SDK nor exporter is needed."""

from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context

from wire.tracing.context import TraceContext
from wire.tracing.names import ERROR
from wire.tracing.tracer import Attributes, Kind, Span, Unrecorded

VALUE_CHARS_MAX: Final = 1_024
"""Of a value: a reason in words has two hundred."""

_KINDS: Final = {
    Kind.SERVER: trace.SpanKind.SERVER,
    Kind.CLIENT: trace.SpanKind.CLIENT,
    Kind.INTERNAL: trace.SpanKind.INTERNAL,
}


def begin_here(name: str, kind: Kind, attributes: Attributes) -> Span:
    """A span of the process's own tracer, below whatever the program is in."""
    tracer = trace.get_tracer("spillway")
    return _spanned(tracer, tracer.start_span(name, kind=_KINDS[kind], attributes=attributes))


def begin(
    tracer: trace.Tracer,
    name: str,
    kind: Kind,
    below: TraceContext | None,
    attributes: Attributes,
) -> Span:
    """A span of one of OpenTelemetry's tracers, below this context or, without one, the first."""
    context = Context()
    if below is not None:
        state = trace.TraceState.from_header([below.state]) if below.state else None
        flags = trace.TraceFlags(below.flags)
        parent = trace.SpanContext(
            below.trace_id, below.span_id, is_remote=True, trace_flags=flags, trace_state=state
        )
        context = trace.set_span_in_context(trace.NonRecordingSpan(parent), context)
    return _spanned(
        tracer,
        tracer.start_span(name, context=context, kind=_KINDS[kind], attributes=attributes),
    )


def _spanned(tracer: trace.Tracer, span: trace.Span) -> Span:
    placed = place_of(span.get_span_context())
    return OtelSpan(tracer, span, placed) if span.is_recording() else Unrecorded(placed)


def place_of(context: trace.SpanContext) -> TraceContext | None:
    """The same context as it travels; None where it is of no trace."""
    if not context.is_valid:
        return None
    state = context.trace_state.to_header()
    return TraceContext(context.trace_id, context.span_id, int(context.trace_flags), state)


class OtelSpan:
    """See Span."""

    __slots__ = ("_span", "_tracer", "context")

    records = True

    def __init__(
        self, tracer: trace.Tracer, span: trace.Span, context: TraceContext | None
    ) -> None:
        self._tracer = tracer
        self._span = span
        self.context = context

    def begin(self, name: str, kind: Kind, attributes: Attributes) -> Span:
        """See Span."""
        return begin(self._tracer, name, kind, self.context, attributes)

    def set(self, attributes: Attributes) -> None:
        """See Span."""
        if self._span.is_recording():
            self._span.set_attributes(attributes)

    def event(self, name: str, attributes: Attributes) -> None:
        """See Span."""
        if self._span.is_recording():
            self._span.add_event(name, attributes)

    def end(self, error: str = "", why: str = "") -> None:
        """See Span."""
        if not self._span.is_recording():
            return
        if error:
            self._span.set_attribute(ERROR, error)
            described = why[:VALUE_CHARS_MAX] or None
            self._span.set_status(trace.Status(trace.StatusCode.ERROR, described))
        self._span.end()
