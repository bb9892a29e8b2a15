"""Retries come out of a budget, so that they never multiply an overload.

Each request earns a fraction of a retry, each retry costs a whole one. A fleet that fails every
request is thus asked at most `1 + retry_ratio` times for each, and a quiet router has a small stock
so that its first failures may be tried elsewhere.
"""


class RetryBudget:
    """The retries that one router may still make: `ratio` for each request, `burst` at most."""

    __slots__ = ("_most", "_ratio", "left")

    def __init__(self, ratio: float, burst: int) -> None:
        self._ratio = ratio
        self._most = float(burst)
        self.left = self._most

    def resize(self, ratio: float, burst: int) -> None:
        """The bounds are others; what was spent is spent, and may be more than there is."""
        self.left = burst - (self._most - self.left)
        self._ratio, self._most = ratio, float(burst)

    def on_request(self) -> None:
        """A first attempt was sent."""
        self.left = min(self._most, self.left + self._ratio)

    def take(self) -> bool:
        """Spend one retry; False if there is none."""
        if self.left < 1.0:
            return False
        self.left -= 1.0
        return True
