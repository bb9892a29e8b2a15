"""What a router tells the router below it of one request: how much is left of what it may take.

Whatever a request may use up shrinks on its way down, so that levels do not multiply it: the time
until its deadline, the attempts that may be made of it, and the part of the objective for its first
token that has gone by. A router below keeps to the smaller of these and its own.
"""

from collections.abc import Mapping
from typing import Final

from router.policy.units import NS_PER_MS
from wire.status import Metadata, bad_field

ATTEMPTS_LEFT_KEY: Final = "x-spillway-attempts-left"
WAITED_KEY: Final = "x-spillway-waited-ms"

_DIGITS_MAX: Final = 9
_MOST: Final = 10**_DIGITS_MAX - 1


def read_descent(named: Mapping[str, str | bytes]) -> tuple[int, int]:
    """The attempts that are left, 0 where nobody says, and what has been waited, in nanoseconds.

    Raises CallError naming the key for what is no count.
    """
    return _count(ATTEMPTS_LEFT_KEY, named), _count(WAITED_KEY, named) * NS_PER_MS


def descent(attempts_left: int, waited_ns: int) -> Metadata:
    """The same as metadata for the next level. One attempt is always left: it is being made."""
    waited_ms = min(waited_ns // NS_PER_MS, _MOST)
    waited: Metadata = ((WAITED_KEY, str(waited_ms)),) if waited_ms else ()
    return ((ATTEMPTS_LEFT_KEY, str(min(max(1, attempts_left), _MOST))), *waited)


def _count(key: str, named: Mapping[str, str | bytes]) -> int:
    value = named.get(key, "0")
    if not (isinstance(value, str) and value.isdecimal() and value.isascii()):
        raise bad_field(key, "must be a count in decimal digits")
    if len(value) > _DIGITS_MAX:
        raise bad_field(key, f"must have at most {_DIGITS_MAX} digits")
    return int(value)
