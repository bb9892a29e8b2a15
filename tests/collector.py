"""A collector of OpenTelemetry's protocol: a gRPC server that keeps the spans that reach it."""

import contextlib
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as pb
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as services
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage

from tests.waiting import until


@dataclass
class Seen:
    """A span as it arrived."""

    service: str
    name: str
    trace: str
    id: str
    parent: str
    kind: str
    state: str
    attributes: dict
    events: list
    failed: bool
    start_ns: int
    end_ns: int

    def event(self, name):
        """The attributes of its first event of this name."""
        return next(attributes for found, attributes in self.events if found == name)

    @property
    def text(self):
        """All that it says."""
        return repr(self)


@dataclass
class Collector(services.TraceServiceServicer):
    spans: list = field(default_factory=list)
    port: int = 0

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    def Export(self, request, context):
        for resource in request.resource_spans:
            service = _attributes(resource.resource.attributes)["service.name"]
            for scope in resource.scope_spans:
                self.spans += [_seen(service, span) for span in scope.spans]
        return pb.ExportTraceServiceResponse()

    async def until_spans(self, count, **kinds):
        """As `until_said`; the attribute `error.type` is written `error_type`."""
        return await self.until_said(count, {k.replace("_", "."): v for k, v in kinds.items()})

    async def until_said(self, count, attributes):
        """The spans with these attributes, once there are so many."""

        def found():
            return [s for s in self.spans if attributes.items() <= s.attributes.items()]

        await until(lambda: len(found()) >= count)
        return found()

    def traces(self):
        """The spans by their trace."""
        found = defaultdict(list)
        for span in self.spans:
            found[span.trace].append(span)
        return dict(found)


@contextlib.contextmanager
def collector(port=0):
    """One that listens until the block is left."""
    found = Collector()
    server = grpc.server(ThreadPoolExecutor(2), options=[("grpc.so_reuseport", 0)])
    services.add_TraceServiceServicer_to_server(found, server)
    found.port = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    try:
        yield found
    finally:
        server.stop(None).wait()


def _seen(service, span):
    return Seen(
        service=service,
        name=span.name,
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        kind=SpanMessage.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        state=span.trace_state,
        attributes=_attributes(span.attributes),
        events=[(event.name, _attributes(event.attributes)) for event in span.events],
        failed=span.status.code == 2,
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
    )


def _attributes(pairs):
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value):
    which = value.WhichOneof("value")
    found = getattr(value, which)
    return [_value(one) for one in found.values] if which == "array_value" else found
