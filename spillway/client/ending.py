"""What a call's trailing metadata says once it has ended."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ending:
    """Where a request ran. A replica that is called directly says neither site nor attempts."""

    request_id: str = ""
    site: str = ""
    attempts: int = 0  # endpoints tried; 0 where nobody said


def ending_of(trailers: Iterable[tuple[str, str | bytes]] | None, request_id: str) -> Ending:
    """The ending that trailers tell of; `request_id` is the client's, for where they tell none."""
    found = {key: value for key, value in trailers or () if isinstance(value, str)}
    attempts = found.get("x-spillway-attempts", "")
    return Ending(
        request_id=found.get("x-spillway-request-id", request_id),
        site=found.get("x-spillway-site", ""),
        attempts=int(attempts) if attempts.isascii() and attempts.isdigit() else 0,
    )
