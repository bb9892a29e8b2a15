"""What scaling has learned, as values: what one router leaves to the one that comes after it.

The usual demand of a week takes weeks to learn, and what metered replicas are billed is money: a
router that is started anew goes on with both. How sites are, and what is wanted of them, is not in
it: that is found.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import isfinite

from router.policy.lending import MINUTES_OF_DAY, MINUTES_OF_WEEK

BIN_MINUTES = 15
BINS_OF_WEEK = MINUTES_OF_WEEK // BIN_MINUTES
BINS_OF_DAYS = 2 * MINUTES_OF_DAY // BIN_MINUTES  # of a working day, and of one of a weekend
SITES_MAX = 1_000  # as many as a fleet file may have
REPLICAS_MAX = 10_000  # of one site
_NUMBER_MAX = 1e19  # nanoseconds of three centuries

Bin = tuple[int, float, float, float]  # how often it was seen; requests, prompt and output tokens
Recent = tuple[int, int, float, float, float]  # until when, which bin, and the same three
Mean = tuple[float, float, int]  # of an Ewma: sum, weight, and as of when


@dataclass(frozen=True, slots=True)
class Seasons:
    """The usual demand, by quarter of an hour."""

    week: tuple[Bin, ...]
    days: tuple[Bin, ...]
    recent: tuple[Recent, ...] = ()  # that is not in the tables yet


@dataclass(frozen=True, slots=True)
class Forecasts:
    """Demand as it is and usually is, and how far forecasts of it were off."""

    seasons: Seasons
    level_ns: int
    since_unix_ns: int | None
    levels: tuple[Mean, ...]  # fast and slow, of each of demand's three parts
    error: Mean


@dataclass(frozen=True, slots=True)
class Bill:
    """What a site's metered replicas were billed."""

    usd_per_hour: float
    billing_ns: int
    asked_unix_ns: tuple[int, ...] = ()  # of the replicas that there are, when each was asked for
    paid_ns: int = 0  # for those that were given back
    before_usd: float = 0.0  # by other prices
    month_began_unix_ns: int | None = None
    month_before_usd: float = 0.0


@dataclass(frozen=True, slots=True)
class Learned:
    """All of it."""

    forecasts: Forecasts
    limit: float  # how busy replicas may be kept
    per_s: dict[str, tuple[float, int]] = field(default_factory=dict)
    """Tokens of work a second of one replica, by site, and how often it was seen full."""
    bills: dict[str, Bill] = field(default_factory=dict)


def check(learned: Learned) -> None:
    """Raises ValueError where this is nothing that could have been learned."""
    seasons = learned.forecasts.seasons
    sizes = (
        ("a week", len(seasons.week) == BINS_OF_WEEK),
        ("days", len(seasons.days) == BINS_OF_DAYS),
        ("recent times", len(seasons.recent) <= BINS_OF_DAYS),
        ("levels", len(learned.forecasts.levels) == 6),  # two of each of three
        ("sites", max(len(learned.per_s), len(learned.bills)) <= SITES_MAX),
        ("replicas", all(len(one.asked_unix_ns) <= REPLICAS_MAX for one in learned.bills.values())),
    )
    for what, fits in sizes:
        if not fits:
            raise ValueError(f"it has another number of {what} than there can be")
    if not all(isfinite(one) and 0.0 <= one <= _NUMBER_MAX for one in _numbers(learned)):
        raise ValueError("it has a number that is none, is negative, or is too large")
    if any(not 0 <= one[1] < BINS_OF_WEEK for one in seasons.recent):
        raise ValueError("it has a time that is in no week")
    if learned.limit <= 0.0 or learned.forecasts.level_ns < 1:
        raise ValueError("it would keep replicas busy with nothing")
    if any(one.billing_ns < 1 for one in learned.bills.values()):
        raise ValueError("it has replicas that are billed by no time at all")


def _numbers(learned: Learned) -> Iterator[float]:
    forecasts = learned.forecasts
    rows: tuple[Iterable[Iterable[float]], ...] = (
        forecasts.seasons.week,
        forecasts.seasons.days,
        forecasts.seasons.recent,
        forecasts.levels,
        learned.per_s.values(),
    )
    for row in rows:
        for values in row:
            yield from values
    yield from forecasts.error
    yield from (learned.limit, forecasts.level_ns, forecasts.since_unix_ns or 0)
    for bill in learned.bills.values():
        yield from bill.asked_unix_ns
        yield from (bill.usd_per_hour, bill.billing_ns, bill.paid_ns, bill.before_usd)
        yield from (bill.month_began_unix_ns or 0, bill.month_before_usd)
