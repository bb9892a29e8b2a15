"""What a router below says of an attempt when it is over, and how it joins what is said of ours.

A client sees one router. Its trailers count what was done for it at every level: an attempt at a
router counts as the attempts that it made, and the way to the engine names each level.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from wire.spillway.v1.trailers import ATTEMPTS_KEY, ENDPOINT_KEY, PATH_KEY, RESUMED_KEY

_COUNT_DIGITS_MAX: Final = 4
_PATH_CHARS_MAX: Final = 1_024  # four levels of the longest names


class Below(NamedTuple):
    """How often the level below tried and went on, and the way from there to the engine."""

    attempts: int = 1
    resumed: int = 0
    path: str = ""


NOTHING: Final = Below()
"""What a replica says."""


def read_below(trailers: Iterable[tuple[str, str | bytes]] | None) -> Below:
    """From an attempt's trailers. What cannot be true is taken for nothing."""
    said = {key: value for key, value in trailers or () if isinstance(value, str)}
    if ATTEMPTS_KEY not in said:
        return NOTHING
    path = said.get(PATH_KEY) or said.get(ENDPOINT_KEY, "")
    return Below(
        attempts=max(1, _count(said[ATTEMPTS_KEY])),
        resumed=_count(said.get(RESUMED_KEY, "")),
        path=path if len(path) <= _PATH_CHARS_MAX else "",
    )


def _count(value: str) -> int:
    known = value.isdecimal() and value.isascii() and len(value) <= _COUNT_DIGITS_MAX
    return int(value) if known else 0
