"""What a fleet file may say of where a router reports its spans."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from wire.tracing.settings import TracingSettings

_EXPECTED = "expected the URL of a collector's gRPC port, such as http://127.0.0.1:4317"


def tracing_problems(tracing: TracingSettings) -> Iterator[tuple[str, str]]:
    """Each key that cannot be meant, and what is wrong with it."""
    if tracing.endpoint is None:
        return
    try:
        url = urlsplit(tracing.endpoint)
        port, host, user = url.port, url.hostname, url.username
    except ValueError:
        yield "endpoint", _EXPECTED
        return
    if url.scheme not in {"http", "https"} or not host or not port:
        yield "endpoint", _EXPECTED
    elif user is not None:
        yield "endpoint", "a secret does not belong into this file; set OTEL_EXPORTER_OTLP_HEADERS"
    elif url.path.strip("/") or url.query or url.fragment:
        yield "endpoint", "nothing stands behind the port of a collector that is reached by gRPC"
