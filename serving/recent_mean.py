"""A mean that forgets."""

import math


class RecentMean:
    """The mean of what was observed lately: an observation's weight halves each half_life_s.

    Unlike a moving average with a fixed weight per observation, it spans the same time whether an
    engine puts out ten tokens a second or ten thousand.
    """

    def __init__(self, half_life_s: float) -> None:
        self._rate = math.log(2) / half_life_s
        self._sum = 0.0
        self._weight = 0.0
        self._at_s = 0.0

    def add(self, total: float, count: int, now_s: float) -> None:
        """Observes count values that sum to total, at now_s of a clock that never goes back."""
        decay = math.exp(-self._rate * max(0.0, now_s - self._at_s))
        self._sum = self._sum * decay + total
        self._weight = self._weight * decay + count
        self._at_s = now_s

    @property
    def value(self) -> float:
        """The mean, or 0 where nothing has been observed. Time alone does not change it."""
        return self._sum / self._weight if self._weight else 0.0
