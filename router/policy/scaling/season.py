"""What demand usually is at a time of the week: means by quarter of an hour, of bounded size.

Two tables, of the week and of the day (working days and weekends apart). The week says more, and
takes weeks to fill; the day is known after one. What is learned is a day old: by how much this day
is another one is judged by the days before it, which must not have it in them already. A quarter of
an hour is short against the hours in which demand comes and goes, and long enough to have thousands
of requests in it.
"""

from collections import deque

from router.policy.lending import minute_of_week
from router.policy.scaling.demand import Demand
from router.policy.scaling.memory import BIN_MINUTES, BINS_OF_DAYS, BINS_OF_WEEK, Bin, Seasons
from router.policy.units import NS_PER_HOUR

_BINS_OF_DAY = BINS_OF_DAYS // 2
_WORKING_DAYS = 5
_LEARNED_AFTER_NS = 20 * NS_PER_HOUR  # a day, but for what is forecast from it
_WEEK_GAIN_MIN = 0.3  # the last three weeks or so
_DAY_GAIN_MIN = 0.3


class _Table:
    """A mean of each bin, and how often it was seen."""

    __slots__ = ("counts", "means")

    def __init__(self, bins: int) -> None:
        self.means = [Demand()] * bins
        self.counts = [0] * bins

    def add(self, index: int, demand: Demand, gain_min: float) -> None:
        self.counts[index] += 1
        gain = max(gain_min, 1.0 / self.counts[index])
        self.means[index] = _between(self.means[index], demand, gain)

    def memory(self) -> tuple[Bin, ...]:
        return tuple((count, *mean) for count, mean in zip(self.counts, self.means, strict=True))

    def recall(self, bins: tuple[Bin, ...]) -> None:
        self.counts = [count for count, *_ in bins]
        self.means = [Demand(*mean) for _, *mean in bins]


class Season:
    """Learns and tells the usual demand. Times are of the wall clock, in nanoseconds."""

    __slots__ = ("_at", "_count", "_day", "_recent", "_sum", "_week")

    def __init__(self) -> None:
        self._week = _Table(BINS_OF_WEEK)
        self._day = _Table(BINS_OF_DAYS)
        self._recent: deque[tuple[int, int, Demand]] = deque(maxlen=BINS_OF_DAYS)
        self._at = -1  # the bin that is being filled, of the week
        self._sum = Demand()
        self._count = 0

    def add(self, demand: Demand, unix_ns: int) -> None:
        """Observe the demand as of this time. A bin counts once it is over."""
        index = minute_of_week(unix_ns) // BIN_MINUTES
        if index != self._at:
            if self._count:
                self._recent.append((unix_ns, self._at, self._sum.times(1.0 / self._count)))
            while self._recent and self._recent[0][0] <= unix_ns - _LEARNED_AFTER_NS:
                _, learned, mean = self._recent.popleft()
                self._week.add(learned, mean, _WEEK_GAIN_MIN)
                self._day.add(_of_day(learned), mean, _DAY_GAIN_MIN)
            self._at, self._sum, self._count = index, Demand(), 0
        self._sum = Demand(
            self._sum.requests + demand.requests,
            self._sum.prompt_tokens + demand.prompt_tokens,
            self._sum.output_tokens + demand.output_tokens,
        )
        self._count += 1

    def memory(self) -> Seasons:
        """What has been learned; the quarter of an hour that is not over is left out."""
        recent = tuple((until_ns, index, *mean) for until_ns, index, mean in self._recent)
        return Seasons(self._week.memory(), self._day.memory(), recent)

    def recall(self, seasons: Seasons) -> None:
        """Go on with what was learned."""
        self._week.recall(seasons.week)
        self._day.recall(seasons.days)
        self._recent.clear()
        self._recent.extend(
            (until_ns, index, Demand(*mean)) for until_ns, index, *mean in seasons.recent
        )

    def at(self, unix_ns: int) -> tuple[Demand, float]:
        """The usual demand at a time, and how much that is worth: 0 for nothing, towards 1."""
        minute = minute_of_week(unix_ns)
        index = minute // BIN_MINUTES
        share = (minute % BIN_MINUTES) / BIN_MINUTES
        if share < 0.5:  # between the middles of bins by a straight line
            first, second, weight = (index - 1) % BINS_OF_WEEK, index, share + 0.5
        else:
            first, second, weight = index, (index + 1) % BINS_OF_WEEK, share - 0.5
        before, trust_before = self._bin(first)
        after, trust_after = self._bin(second)
        return _between(before, after, weight), min(trust_before, trust_after)

    def _bin(self, index: int) -> tuple[Demand, float]:
        weeks, days = self._week.counts[index], self._day.counts[_of_day(index)]
        if not weeks and not days:
            return Demand(), 0.0
        of_week, of_day = self._week.means[index], self._day.means[_of_day(index)]
        weight = weeks / (weeks + 0.5) if weeks else 0.0
        trust = max(weeks / (weeks + 0.5), days / (days + 2.0))
        return _between(of_day, of_week, weight), trust


def _of_day(index: int) -> int:
    weekend = index // _BINS_OF_DAY >= _WORKING_DAYS
    return index % _BINS_OF_DAY + weekend * _BINS_OF_DAY


def _between(first: Demand, second: Demand, weight: float) -> Demand:
    return Demand(
        first.requests + weight * (second.requests - first.requests),
        first.prompt_tokens + weight * (second.prompt_tokens - first.prompt_tokens),
        first.output_tokens + weight * (second.output_tokens - first.output_tokens),
    )
