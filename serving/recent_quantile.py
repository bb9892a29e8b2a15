"""A quantile of what was observed in the last while."""

from collections import deque

_KEPT_MAX = 256  # observations: enough for a quantile, and soon sorted


class RecentQuantile:
    """The quantile of values that come several at a time and alike, as the gaps of one step do."""

    def __init__(self, share: float, window_s: float) -> None:
        """Of the values of the last window_s, the share that lies at or below the value."""
        self._share = share
        self._window_s = window_s
        self._kept: deque[tuple[float, float, int]] = deque(maxlen=_KEPT_MAX)

    def add(self, value: float, count: int, now_s: float) -> None:
        """Observes count values of about this size, at now_s of a clock that never goes back."""
        self._kept.append((now_s, value, count))

    def value(self, now_s: float) -> float:
        """The quantile as of now_s, or 0 where nothing was observed in the window before it."""
        while self._kept and self._kept[0][0] < now_s - self._window_s:
            self._kept.popleft()
        above = (1.0 - self._share) * sum(count for _, _, count in self._kept)
        for value, count in sorted(
            ((value, count) for _, value, count in self._kept), reverse=True
        ):
            above -= count
            if above < 0.0:
                return value
        return 0.0
