"""The keys of metadata that clients, replicas and routers know alike."""

from collections.abc import Iterable
from typing import Final

OWN_PREFIX: Final = "x-spillway-"
"""How all keys of Spillway's own begin."""

SLO_KEY: Final = "x-spillway-slo"
"""The service class that a request asks for."""

TENANT_KEY: Final = "x-spillway-tenant"
"""Who pays for it."""

STAND_IN_KEY: Final = "x-spillway-stand-in"
"""`no`: no other model may stand in for the one asked for, whatever the class allows. Or `yes`."""

OPERATION_KEY: Final = "x-spillway-operation"
"""What is done for the request, as traces call it: `chat`, or `text_completion`."""

SESSION_KEYS: Final = ("session_id", "x-session-id")
"""Names of the session; the field of the request wins, and the first of these wins."""


def session_of(metadata: Iterable[tuple[str, str | bytes]]) -> tuple[str, str]:
    """The key that names the session, and its name; empty, under the first key, if none does."""
    named = {key: value for key, value in metadata if key in SESSION_KEYS}
    for key in SESSION_KEYS:
        value = named.get(key)
        if isinstance(value, str):
            return key, value
    return SESSION_KEYS[0], ""
