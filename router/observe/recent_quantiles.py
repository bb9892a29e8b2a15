"""Quantiles of what was seen recently, in bounded memory.

Values fall into buckets that grow by a twentieth, so a quantile is off by at most 2.5 %, and only
counts are kept. Two histograms take turns: one fills for a window while the one before it still
counts, so what is older than two windows is forgotten without a time being kept for each value.
A sketch such as t-digest would be more exact in the tails and cost more for each value.
"""

import math
from collections import Counter
from typing import Final

_GROWTH_LOG: Final = math.log(1.05)
_VALUE_MIN: Final = 1_000.0  # a microsecond; below it nothing is told apart
_BUCKET_MAX: Final = 500  # eleven hours, in buckets above the microsecond


class RecentQuantiles:
    """Quantiles of integer nanoseconds over the last one to two windows."""

    def __init__(self, window_ns: int) -> None:
        self._window_ns = window_ns
        self._begun_ns = 0
        self._filling: Counter[int] = Counter()
        self._full: Counter[int] = Counter()

    def add(self, value_ns: int, now_ns: int) -> None:
        """Observes a value."""
        elapsed = (now_ns - self._begun_ns) // self._window_ns
        if elapsed:
            self._full = self._filling if elapsed == 1 else Counter()
            self._filling = Counter()
            self._begun_ns += elapsed * self._window_ns
        self._filling[_bucket(value_ns)] += 1

    def quantile_ns(self, share: float, now_ns: int) -> int:
        """The value that `share` of those seen do not exceed; 0 while none was seen."""
        elapsed = (now_ns - self._begun_ns) // self._window_ns
        counts: Counter[int] = Counter()
        if elapsed <= 1:
            counts += self._filling
        if elapsed < 1:
            counts += self._full
        left = share * counts.total()
        for bucket in sorted(counts):
            left -= counts[bucket]
            if left <= 0:
                return round(_VALUE_MIN * math.exp((bucket + 0.5) * _GROWTH_LOG))
        return 0


def _bucket(value_ns: int) -> int:
    exact = math.log(max(value_ns, _VALUE_MIN) / _VALUE_MIN) / _GROWTH_LOG
    return min(_BUCKET_MAX, int(exact))
