"""Home capacity that is lent to other work by a weekly schedule, and comes back by itself.

The schedule says how many replicas of a site are away, and when; `lent_of` says which. The live
router, the simulator and the planner all go by these, so that what is planned is what happens.
Times are UTC: by local time, one night of the year has 23 hours and another 25.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

MINUTES_OF_DAY = 24 * 60
MINUTES_OF_WEEK = 7 * MINUTES_OF_DAY
NS_PER_MINUTE = 60_000_000_000

_EPOCH_DAY = 3  # 1970 began on a Thursday


@dataclass(frozen=True, slots=True)
class LendWindow:
    """So many replicas are away from one time of the day until another, on the days named.

    A window that ends no later than it begins ends on the next day; its day is that of its
    beginning.
    """

    replicas: int
    from_minute: int  # of the day, UTC
    until_minute: int  # up to 24:00
    days: tuple[str, ...] = DAYS

    def spans(self) -> Iterator[tuple[int, int]]:
        """Its times as minutes of the week from Monday 0:00; the last may end in the next week."""
        lasts = (self.until_minute - self.from_minute - 1) % MINUTES_OF_DAY + 1
        for day in self.days:
            begin = DAYS.index(day) * MINUTES_OF_DAY + self.from_minute
            yield begin, begin + lasts

    def is_open(self, minute: int) -> bool:
        """Whether it is, in this minute of the week."""
        return any((minute - begin) % MINUTES_OF_WEEK < end - begin for begin, end in self.spans())


@dataclass(frozen=True, slots=True)
class Lending:
    """When how many of a site's replicas are away. Windows that overlap add up."""

    replicas: int  # that the site lists when none is away
    windows: tuple[LendWindow, ...]

    def lent(self, minute: int) -> int:
        """How many are away in this minute of the week."""
        return sum(window.replicas for window in self.windows if window.is_open(minute))

    def kept(self, unix_ns: int) -> int:
        """How many the site keeps at this time."""
        return max(0, self.replicas - self.lent(minute_of_week(unix_ns)))

    def edges(self) -> tuple[int, ...]:
        """The minutes of the week in which it may become another number."""
        ends = (edge for window in self.windows for span in window.spans() for edge in span)
        return tuple(sorted({edge % MINUTES_OF_WEEK for edge in ends}))


def minute_of_week(unix_ns: int) -> int:
    """Of the wall clock's time, from Monday 0:00 UTC."""
    return (unix_ns // NS_PER_MINUTE + _EPOCH_DAY * MINUTES_OF_DAY) % MINUTES_OF_WEEK


def lent_of(names: Collection[str], kept: int) -> tuple[str, ...]:
    """Which of a site's endpoints are lent where it keeps so many: the last by name.

    Routers that see the same endpoints say the same. What has already been taken from the list is
    not taken a second time.
    """
    return tuple(sorted(names)[max(0, kept) :])
