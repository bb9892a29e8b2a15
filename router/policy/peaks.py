"""The highest of what was seen since a moment.

Kept are only the values that no later one exceeds, so they fall from the oldest to the newest, and
the first that is young enough is the highest.
"""

from bisect import bisect_left
from collections import deque
from operator import itemgetter

_KEPT_MAX = 256  # beyond it the oldest go: what they say of is long over

_at = itemgetter(0)


class Peaks:
    """Values over time, for a question about their latest part."""

    __slots__ = ("_falling",)

    def __init__(self) -> None:
        self._falling: deque[tuple[int, float]] = deque(maxlen=_KEPT_MAX)

    def add(self, value: float, now: int) -> None:
        """Observe a value; `now` does not go back."""
        falling = self._falling
        while falling and falling[-1][1] <= value:
            falling.pop()
        falling.append((now, value))

    def since(self, at: int) -> float:
        """The highest value observed at that time or later; 0 for none."""
        index = bisect_left(self._falling, at, key=_at)
        return self._falling[index][1] if index < len(self._falling) else 0.0
