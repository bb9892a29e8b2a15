"""What a call's trailing metadata says once it has ended."""

from collections.abc import Iterable
from dataclasses import dataclass

from wire.spillway.v1.trailers import (
    ATTEMPTS_KEY,
    MODEL_KEY,
    PATH_KEY,
    REQUEST_ID_KEY,
    RESUMED_KEY,
    SITE_KEY,
)

Pairs = Iterable[tuple[str, str | bytes]]
"""Metadata as gRPC gives it."""


@dataclass(frozen=True, slots=True)
class Ending:
    """Where a request ran. A replica that is called directly says neither site nor attempts."""

    request_id: str = ""
    site: str = ""
    attempts: int = 0  # endpoints tried; 0 where nobody said
    resumed: int = 0  # times that the answer went on elsewhere after it had begun
    model: str = ""  # that answered, where it is not what the request calls it
    path: str = ""  # the way to the engine, where there are several levels of routers


def ending_of(
    trailers: Pairs | None,
    request_id: str,
    resumed: int = 0,
    *,
    came_back: bool = False,
) -> Ending:
    """The ending that trailers tell of, for an answer that the client had resumed so many times.

    `request_id` is the client's, for where they tell none; `came_back` says that the client had
    tried an endpoint by itself before.
    """
    found = {key: value for key, value in trailers or () if isinstance(value, str)}
    return Ending(
        request_id=found.get(REQUEST_ID_KEY, request_id),
        site=found.get(SITE_KEY, ""),
        attempts=_count(found.get(ATTEMPTS_KEY, "")) + came_back,
        resumed=_count(found.get(RESUMED_KEY, "")) + resumed,
        model=found.get(MODEL_KEY, ""),
        path=found.get(PATH_KEY, ""),
    )


def _count(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0
