"""One quantile of a stream, in one number.

Robbins and Monro: step up by `gain * q` when an observation lies above the estimate and down by
`gain * (1 - q)` when it does not; where the estimate rests, a share q of the observations lies
below it. The gain starts large and settles, so that a few observations suffice and later ones still
count. A sorted window would be exact and would cost memory for each endpoint and class.
"""

_GAIN_FIRST = 0.5
_GAIN_LAST = 0.05


class Quantile:
    """The `q` quantile of a quantity of order one, kept within bounds."""

    __slots__ = ("_count", "_high", "_low", "_q", "value")

    def __init__(self, q: float, start: float, low: float, high: float) -> None:
        self._q = q
        self._low = low
        self._high = high
        self._count = 0
        self.value = start

    def add(self, observed: float) -> None:
        """Observe one value."""
        self._count += 1
        gain = max(_GAIN_LAST, _GAIN_FIRST / self._count)
        step = self._q if observed > self.value else self._q - 1.0
        self.value = min(self._high, max(self._low, self.value + gain * step))
