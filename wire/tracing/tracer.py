"""Spans of one end of the wire, sent to an OTLP collector by OpenTelemetry's SDK.

Without a collector there is nothing here but `NOTHING`, and the SDK is not imported. With one, a
span costs some microseconds where it begins and ends; a thread of its own sends them, and neither a
slow collector nor none at all delays anybody: what the queue cannot hold is dropped.
"""

import logging
import os
from collections.abc import Mapping
from enum import Enum
from typing import Final, Protocol

from wire.tracing.context import TraceContext
from wire.tracing.settings import TracingSettings, endpoint_of, protocol_problem

Value = str | bool | int | float | list[str]
Attributes = Mapping[str, Value]

_log = logging.getLogger(__name__)


class TracingError(ValueError):
    """Spans are asked for and cannot be made; the message is one sentence."""


class Kind(Enum):
    """Which side of a call a span is."""

    SERVER = "SERVER"
    CLIENT = "CLIENT"
    INTERNAL = "INTERNAL"


class Span(Protocol):
    """Something that takes time, as others will see it."""

    @property
    def records(self) -> bool:
        """Whether anybody will see it: what is dear to say need not be said if not."""
        ...

    @property
    def context(self) -> TraceContext | None:
        """Its place, for what is below it; None where nothing is known of any trace."""
        ...

    def begin(self, name: str, kind: Kind, attributes: Attributes) -> "Span":
        """A span below this one."""
        ...

    def set(self, attributes: Attributes) -> None:
        """Says more of it."""
        ...

    def event(self, name: str, attributes: Attributes) -> None:
        """Something happened in it, now."""
        ...

    def end(self, error: str = "", why: str = "") -> None:
        """It is over, with this `error.type` where it failed. Only the first call counts."""
        ...


class Unrecorded:
    """A span that nobody will see. What is below it has the context that it came with."""

    __slots__ = ("context",)

    records = False

    def __init__(self, context: TraceContext | None) -> None:
        self.context = context

    def begin(self, _name: str, _kind: Kind, _attributes: Attributes) -> "Unrecorded":
        """See Span."""
        return self

    def set(self, attributes: Attributes) -> None:
        """See Span."""

    def event(self, name: str, attributes: Attributes) -> None:
        """See Span."""

    def end(self, error: str = "", why: str = "") -> None:
        """See Span."""


UNTRACED: Final = Unrecorded(None)


class Tracer:
    """Begins spans; without a collector, only those that pass on what they came with."""

    @property
    def is_on(self) -> bool:
        """Whether there is a collector."""
        return False

    def take_process(self) -> None:
        """Has the process's own spans, as those of the client, go where these go."""

    def begin(
        self, name: str, kind: Kind, below: TraceContext | None, attributes: Attributes
    ) -> Span:
        """A span below what a call came with, or the first of a trace."""
        _ = name, kind, attributes
        return UNTRACED if below is None else Unrecorded(below)

    def close(self) -> None:
        """Sends what waits, within a time that a process can spare at its end."""


NOTHING: Final = Tracer()


def open_tracer(settings: TracingSettings, service: str, instance: str = "") -> Tracer:
    """The tracer of one end: `service` is its name, `instance` its id.

    Raises TracingError where the settings ask for spans and they cannot be made. What only the
    environment asks for is given up with a warning.
    """
    endpoint = endpoint_of(settings, os.environ)
    if endpoint is None:
        return NOTHING
    problem = protocol_problem(settings, os.environ)
    if not problem:
        try:
            from wire.tracing.otel import OtelTracer  # noqa: PLC0415 - an extra, and 20 MB

            return OtelTracer(settings, endpoint, service, instance)
        except ImportError:
            problem = (
                "spans need OpenTelemetry's SDK and its exporter; install them with"
                " pip install 'spillway[tracing]'"
            )
        except Exception as error:  # noqa: BLE001 - such as a certificate that cannot be read
            problem = f"spans cannot be sent to {endpoint}: {error}"
    if settings.endpoint is not None:
        raise TracingError(problem)
    _log.warning("no spans: %s", problem)
    return NOTHING
