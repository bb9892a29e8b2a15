"""Which metered replicas are paid for until when.

A metered replica is paid from when it is asked for, by the minute or by the hour: what has begun is
paid for. So one is not given back early in an hour, and not asked for to fill a few minutes of one.
"""

from bisect import insort
from collections.abc import Iterable


class Paid:
    """The metered replicas of one site, by the time at which each was asked for."""

    __slots__ = ("_billing_ns", "_since", "spent_ns")

    def __init__(self, billing_ns: int) -> None:
        self._billing_ns = max(1, billing_ns)
        self._since: list[int] = []  # in order
        self.spent_ns = 0  # paid for by replicas that were given back

    def __len__(self) -> int:
        return len(self._since)

    def memory(self) -> tuple[int, ...]:
        """When each that there is was asked for."""
        return tuple(self._since)

    def recall(self, since: Iterable[int], spent_ns: int) -> None:
        """Go on with those that there were, and with what was paid for others."""
        self._since, self.spent_ns = sorted(since), spent_ns

    def set(self, count: int, now: int) -> None:
        """So many there are from now on: more begin, and those paid for the least longer end."""
        while len(self._since) < count:
            insort(self._since, now)
        while len(self._since) > count:
            begun = min(self._since, key=lambda since: self._left_ns(since, now))
            self._since.remove(begun)
            self.spent_ns += self._billed_ns(begun, now)

    def ending(self, within_ns: int, now: int) -> int:
        """For how many the time that is paid for ends so soon."""
        if self._billing_ns <= within_ns:
            return len(self._since)
        return sum(self._left_ns(since, now) <= within_ns for since in self._since)

    def paid_ns(self, now: int) -> int:
        """All that is paid for, replicas that are there included."""
        return self.spent_ns + sum(self._billed_ns(since, now) for since in self._since)

    def _billed_ns(self, since: int, now: int) -> int:
        return -(-max(1, now - since) // self._billing_ns) * self._billing_ns

    def _left_ns(self, since: int, now: int) -> int:
        return self._billed_ns(since, now) - (now - since)
