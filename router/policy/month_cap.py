"""A budget by the calendar month: what may be spent until it ends, and when to say so before.

The core knows no calendar. It is told which month it is, and what others have spent in it: other
routers, and this one before it was started again. What it spends itself it counts. Until it is told
of a month nobody keeps accounts, and nothing is bounded: `router.policy.spend` has the budget that
flows in steadily, which holds in any case.
"""

from typing import NamedTuple


class Spent(NamedTuple):
    """What was spent in a month, in US dollars, by the names of sites and of tenants."""

    month: int  # such as 202611, in UTC
    sites: tuple[tuple[str, float], ...] = ()
    tenants: tuple[tuple[str, float], ...] = ()


class MonthCap:
    """What one site or one tenant may cost in a month, in US dollars."""

    __slots__ = ("_others_usd", "_own_usd", "month", "most_usd", "warn_usd")

    def __init__(self, most_usd: float | None, warn_usd: float | None) -> None:
        """At most so much; operators are told above `warn_usd`. None: whatever it is."""
        self.most_usd = most_usd
        self.warn_usd = warn_usd
        self.month = 0  # such as 202611; 0: nobody has said
        self._others_usd = 0.0
        self._own_usd = 0.0

    @property
    def spent_usd(self) -> float:
        """In this month, by all that is known of."""
        return self._others_usd + self._own_usd

    def has_room(self, owed_usd: float) -> bool:
        """Whether so much more may be spent."""
        if self.most_usd is None or not self.month:
            return True
        return self.spent_usd + owed_usd <= self.most_usd

    def use(self, usd: float) -> None:
        """So much was spent here."""
        self._own_usd += usd

    def hear(self, month: int, others_usd: float) -> None:
        """It is this month, in which others have spent so much. Another month begins anew."""
        if self.month and month != self.month:
            self._own_usd = 0.0
        self.month = month
        self._others_usd = others_usd
