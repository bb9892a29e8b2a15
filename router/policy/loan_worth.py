"""When what is lent costs more than it is worth: overflow is paid for that it would serve.

Overflow's cost is what metered capacity was paid in the last ten minutes, by the hour. A replica
that is taken back can save at most all of it, and each costs what a lent replica is worth. So as
many are taken back as that worth goes into the cost: two where overflow costs 5 USD/h and a replica
is worth 2. A burst has to cost that much within the ten minutes, since the time before it counts as
well. After each taking back the count begins anew, as what is on its way is not missing.

Rejected: to compare the cost with the worth of the whole loan (one replica would come back too
late, and the last too early); to predict the cost (taking back costs the borrower its work since
the last checkpoint, which a wrong guess should not).
"""

from collections import deque
from typing import Final

from router.policy.units import NS_PER_HOUR, NS_PER_S

WINDOW_NS: Final = 600 * NS_PER_S
"""Several times what a replica takes to return, and little of a night."""

GRAIN_NS: Final = 10 * NS_PER_S
"""Between samples that are kept: sixty at a time."""


class OverflowCost:
    """What metered capacity cost of late."""

    def __init__(self) -> None:
        self._samples: deque[tuple[int, float]] = deque()  # time, and all that was spent until then

    def add(self, spent_usd: float, now: int) -> None:
        """So much has been spent since whatever time."""
        while self._samples and now - self._samples[0][0] > WINDOW_NS:
            self._samples.popleft()
        if not self._samples or now - self._samples[-1][0] >= GRAIN_NS:
            self._samples.append((now, spent_usd))

    def usd_per_hour(self, spent_usd: float) -> float:
        """What was spent within the window, by the hour; before the first sample nothing was."""
        if not self._samples:
            return 0.0
        return max(0.0, spent_usd - self._samples[0][1]) * NS_PER_HOUR / WINDOW_NS

    def forget(self) -> None:
        """Begin anew."""
        self._samples.clear()


def to_take_back(lent: int, overflow_usd_per_hour: float, worth_usd_per_hour: float | None) -> int:
    """How many of so many lent replicas are worth less than overflow costs; None is beyond all."""
    if worth_usd_per_hour is None or overflow_usd_per_hour <= 0:
        return 0
    if overflow_usd_per_hour >= lent * worth_usd_per_hour:
        return lent
    return int(overflow_usd_per_hour / worth_usd_per_hour)
