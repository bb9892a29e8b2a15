"""What comes beside a request and goes on with it."""

from collections.abc import Mapping
from typing import Final

from router.live.callers import AUTHORIZATION
from wire.metadata import SESSION_KEYS, SLO_KEY, STAND_IN_KEY, TENANT_KEY
from wire.spillway.v1.cookie import COOKIE_KEY
from wire.status import Metadata

_PASSED_ON: Final = (
    *SESSION_KEYS,
    AUTHORIZATION,
    SLO_KEY,
    STAND_IN_KEY,
    TENANT_KEY,
    COOKIE_KEY,
    "x-request-id",
    "traceparent",
    "tracestate",
)


def passed_on(headers: Mapping[str, str]) -> Metadata:
    """The headers that mean to the router what metadata of the same name does."""
    return tuple((key, headers[key]) for key in _PASSED_ON if key in headers)
