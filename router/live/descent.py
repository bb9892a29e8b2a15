"""What a router tells the router below it of one request: how much is left of what it may take.

Whatever a request may use up shrinks on its way down, so that levels do not multiply it: the time
until its deadline, the attempts that may be made of it, and the part of the objective for its first
token that has gone by. A router below keeps to the smaller of these and its own.
"""

from collections.abc import Mapping
from typing import Final

from router.policy.units import NS_PER_MS
from wire.counts import COUNT_DIGITS_MAX, read_count
from wire.status import Metadata

ATTEMPTS_LEFT_KEY: Final = "x-spillway-attempts-left"
WAITED_KEY: Final = "x-spillway-waited-ms"

_MOST: Final = 10**COUNT_DIGITS_MAX - 1


def read_descent(named: Mapping[str, str | bytes]) -> tuple[int, int]:
    """The attempts that are left, 0 where nobody says, and what has been waited, in nanoseconds.

    Raises CallError naming the key for what is no count.
    """
    attempts_left, waited_ms = read_count(ATTEMPTS_LEFT_KEY, named), read_count(WAITED_KEY, named)
    return attempts_left or 0, (waited_ms or 0) * NS_PER_MS


def descent(attempts_left: int, waited_ns: int) -> Metadata:
    """The same as metadata for the next level. One attempt is always left: it is being made."""
    waited_ms = min(waited_ns // NS_PER_MS, _MOST)
    waited: Metadata = ((WAITED_KEY, str(waited_ms)),) if waited_ms else ()
    return ((ATTEMPTS_LEFT_KEY, str(min(max(1, attempts_left), _MOST))), *waited)
