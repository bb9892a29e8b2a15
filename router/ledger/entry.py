"""What the ledger keeps of an attempt, and what sites say themselves."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Final, NamedTuple

from router.policy.charge import Charge

_NS_PER_S = 1_000_000_000


COUNT_MAX: Final = 1 << 50
"""Of anything that is told: a thousand times what a site does in a year, and sums have room."""


class Entry(NamedTuple):
    """One attempt that is over."""

    charge: Charge
    ended_unix_ns: int


class EngineCount(NamedTuple):
    """What an engine has counted since it started, by its own load report."""

    site: str
    endpoint: str
    instance: str
    output_tokens: int
    prompt_tokens: int
    cached_tokens: int  # of these


def day_of(unix_ns: int) -> str:
    """The day in UTC, as 2026-11-29."""
    return datetime.fromtimestamp(unix_ns // _NS_PER_S, UTC).date().isoformat()


def month_of(unix_ns: int) -> int:
    """The month in UTC, as 202611."""
    at = datetime.fromtimestamp(unix_ns // _NS_PER_S, UTC)
    return at.year * 100 + at.month


def days_of(month: int) -> tuple[str, str]:
    """The first day of a month, and the first that is not in it."""
    year, number = divmod(month, 100)
    following = date(year + number // 12, number % 12 + 1, 1)
    return date(year, number, 1).isoformat(), following.isoformat()


def spent_of(entries: Sequence[Entry]) -> dict[tuple[int, str, str], float]:
    """What entries come to by month, site and tenant."""
    found: dict[tuple[int, str, str], float] = {}
    for charge, ended_unix_ns in entries:
        key = (month_of(ended_unix_ns), charge.site, charge.tenant)
        found[key] = found.get(key, 0.0) + charge.spent_usd
    return found


def storable(said: str) -> str:
    """Text as every database takes it: without NUL, and without halves of characters.

    Models, endpoints and engines have the names that somebody at a site gave them.
    """
    if said.isprintable():
        return said
    return said.replace("\0", "?").encode(errors="replace").decode()
