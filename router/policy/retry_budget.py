"""Retries come out of a budget, so that they never multiply an overload.

Each request earns a fraction of a retry, each retry costs a whole one. A fleet that fails every
request is thus asked at most `1 + retry_ratio` times for each, and a quiet router has a small stock
so that its first failures may be tried elsewhere.
"""

from router.policy.fleet import Limits


class RetryBudget:
    """The retries that one router may still make."""

    __slots__ = ("_most", "_ratio", "left")

    def __init__(self, limits: Limits) -> None:
        self._ratio = limits.retry_ratio
        self._most = float(limits.retry_burst)
        self.left = self._most

    def on_request(self) -> None:
        """A first attempt was sent."""
        self.left = min(self._most, self.left + self._ratio)

    def take(self) -> bool:
        """Spend one retry; False if there is none."""
        if self.left < 1.0:
            return False
        self.left -= 1.0
        return True
