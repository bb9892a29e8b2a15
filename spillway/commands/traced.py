"""Spans of a command that asks for answers, where the environment says where they go."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from wire.tracing.settings import TracingSettings
from wire.tracing.tracer import open_tracer

_SERVICE: Final = "spillway-client"


@contextmanager
def traced() -> Iterator[None]:
    """Reports what the client does within, and sends what waits at the end."""
    tracer = open_tracer(TracingSettings(), _SERVICE)
    if tracer.is_on:
        tracer.take_process()
    try:
        yield
    finally:
        tracer.close()
