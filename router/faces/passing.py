"""What comes beside a request and goes on with it."""

from collections.abc import Mapping
from typing import Final

from router.live.callers import AUTHORIZATION
from wire.metadata import SESSION_KEYS
from wire.status import Metadata

_PASSED_ON: Final = (
    *SESSION_KEYS,
    AUTHORIZATION,
    "x-spillway-slo",
    "x-spillway-tenant",
    "x-spillway-cookie",
    "x-request-id",
    "traceparent",
    "tracestate",
)


def passed_on(headers: Mapping[str, str]) -> Metadata:
    """The headers that mean to the router what metadata of the same name does."""
    return tuple((key, headers[key]) for key in _PASSED_ON if key in headers)
