"""The recent spread of a ratio: the values below which given shares of its observations lie.

The last `_WINDOW` observations are kept in the order they came and in order of size. A quantile is
then exact, forgets within the window, and one window serves every share. Stepping a single number
up and down (Robbins and Monro) needs no window, but for a share of 0.9 each step down is a ninth of
a step up, so after one bad spell it takes hundreds of observations to come back.

Before there are enough observations, made-up ones stand in: a log-normal spread with a stated ratio
at 0.9. Each observation replaces one of them.
"""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable
from statistics import NormalDist

_WINDOW = 100  # the share that lies below the estimate is within three points of what is wanted
_MADE_UP = 10
_LOW, _HIGH = 0.5, 4.0  # a promise beyond this is none, whatever was seen


class Spread:
    """The recent distribution of a positive ratio, and its value at each of the wanted shares."""

    __slots__ = ("_made_up", "_ordered", "_recent", "_shares", "values")

    def __init__(self, shares: Iterable[float], start: float) -> None:
        """Begin with a log-normal spread around 1 of which 0.9 lies below `start`."""
        self._shares = tuple(shares)
        deviations = NormalDist().inv_cdf
        middles = ((index + 0.5) / _MADE_UP for index in range(_MADE_UP))
        made_up = [start ** (deviations(middle) / deviations(0.9)) for middle in middles]
        self._made_up = _MADE_UP
        self._recent = deque(made_up)
        self._ordered = sorted(made_up)
        self.values = self._at_shares()

    def ask(self, shares: Iterable[float]) -> None:
        """These are the shares that are wanted from now on, of what was observed all the same."""
        self._shares = tuple(shares)
        self.values = self._at_shares()

    def add(self, observed: float) -> None:
        """Observe one ratio."""
        if self._made_up or len(self._recent) >= _WINDOW:
            self._made_up = max(0, self._made_up - 1)
            oldest = self._recent.popleft()
            del self._ordered[bisect_left(self._ordered, oldest)]
        self._recent.append(observed)
        insort(self._ordered, observed)
        self.values = self._at_shares()

    def _at_shares(self) -> tuple[float, ...]:
        count = len(self._ordered)
        values = []
        for share in self._shares:
            # One more than the count: the next observation is a draw like the others.
            place = min(max(share * (count + 1) - 1.0, 0.0), count - 1.0)
            below = int(place)
            above = min(below + 1, count - 1)
            value = self._ordered[below]
            value += (place - below) * (self._ordered[above] - value)
            values.append(min(_HIGH, max(_LOW, value)))
        return tuple(values)
