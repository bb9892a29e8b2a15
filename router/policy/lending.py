"""Home capacity that is lent to other work by a weekly schedule, and comes back by itself.

The schedule says how many replicas of a site are away, and when; `lent_of` says which. The live
router, the simulator and the planner all go by these, so that what is planned is what happens.
Times are UTC: by local time, one night of the year has 23 hours and another 25.
"""

from collections.abc import Callable, Collection, Iterator
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

    def lent_at(self, unix_ns: int) -> int:
        """How many are away at this time."""
        return self.lent(minute_of_week(unix_ns))

    def less_at(self, unix_ns: int) -> int:
        """When fewer are away than at this time, at most a week later."""
        lent = self.lent_at(unix_ns)
        return self._first(unix_ns, lambda minute: self.lent(minute) < lent)

    def idle_at(self, unix_ns: int) -> int:
        """When nothing is away, at most a week after this time."""
        return self._first(unix_ns, lambda minute: not self.lent(minute))

    def _first(self, unix_ns: int, holds: Callable[[int], bool]) -> int:
        """The first edge after this time in whose minute something holds, or a week later."""
        minute = unix_ns // NS_PER_MINUTE
        of_week = minute_of_week(unix_ns)
        ahead = ((edge - of_week - 1) % MINUTES_OF_WEEK + 1 for edge in self.edges())
        found = (a for a in sorted(ahead) if holds((of_week + a) % MINUTES_OF_WEEK))
        return (minute + next(found, MINUTES_OF_WEEK)) * NS_PER_MINUTE

    def edges(self) -> tuple[int, ...]:
        """The minutes of the week in which it may become another number."""
        ends = (edge for window in self.windows for span in window.spans() for edge in span)
        return tuple(sorted({edge % MINUTES_OF_WEEK for edge in ends}))


@dataclass(frozen=True, slots=True)
class Reclaim:
    """How a site takes back what it lends."""

    grace_ns: int = 60_000_000_000  # that jobs get to end before they are told to: a step or two
    worth_usd_per_hour: float | None = None  # of a replica that is lent; None: beyond all overflow


RECLAIM = Reclaim()
"""As a site takes back where the fleet file says nothing of it."""


def minute_of_week(unix_ns: int) -> int:
    """Of the wall clock's time, from Monday 0:00 UTC."""
    return (unix_ns // NS_PER_MINUTE + _EPOCH_DAY * MINUTES_OF_DAY) % MINUTES_OF_WEEK


def lent_of(names: Collection[str], kept: int) -> tuple[str, ...]:
    """Which of a site's endpoints are lent where it keeps so many: the last by name.

    Routers that see the same endpoints say the same. What has already been taken from the list is
    not taken a second time.
    """
    return tuple(sorted(names)[max(0, kept) :])
