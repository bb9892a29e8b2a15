"""A mean that forgets with time and, unobserved, returns to what was believed at first.

Every observation carries a weight that decays by e in `tau_ns`. The prior carries a weight that
does not decay, so the value of a series that fell silent glides back to the prior instead of
holding its last reading for ever. A plain exponential average (one number and a fixed gain) was
rejected: it depends on how often it is fed, and it cannot say how much it still knows.
"""

from math import exp


class Ewma:
    """An exponentially weighted moving average over time. Reads do not change it."""

    __slots__ = ("_at", "_prior", "_prior_weight", "_sum", "_tau_ns", "_weight")

    def __init__(self, tau_ns: int, prior: float = 0.0, prior_weight: float = 1.0) -> None:
        self._tau_ns = tau_ns
        self._prior = prior
        self._prior_weight = prior_weight
        self._sum = 0.0
        self._weight = 0.0
        self._at = 0

    def add(self, value: float, now: int) -> None:
        """Observe a value. An observation from before the last one counts as of the last one."""
        decay = self._decay(now)
        self._sum = self._sum * decay + value
        self._weight = self._weight * decay + 1.0
        self._at = max(now, self._at)

    def value_at(self, now: int) -> float:
        """The mean as of `now`."""
        decay = self._decay(now)
        weight = self._weight * decay + self._prior_weight
        if weight <= 0.0:
            return self._prior
        return (self._sum * decay + self._prior * self._prior_weight) / weight

    def memory(self) -> tuple[float, float, int]:
        """What was observed so far, to be recalled by another one like this."""
        return self._sum, self._weight, self._at

    def recall(self, memory: tuple[float, float, int]) -> None:
        """Go on with what was observed so far."""
        self._sum, self._weight, self._at = memory

    def _decay(self, now: int) -> float:
        return exp((self._at - now) / self._tau_ns) if now > self._at else 1.0
