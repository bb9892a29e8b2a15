"""What a site's metered replicas cost as they are billed, and how many its budgets allow."""

from dataclasses import replace

from router.policy.fleet import Price
from router.policy.scaling.memory import Bill
from router.policy.scaling.paid import Paid
from router.policy.units import NS_PER_HOUR

_MONTH_NS = 30 * 24 * NS_PER_HOUR
_CENT = 1e-6


class Money:
    """The bill of one site."""

    __slots__ = (
        "_before_usd",
        "_billing_ns",
        "_month_before_usd",
        "_month_began_ns",
        "_paid",
        "_price",
    )

    def __init__(self, price: Price, billing_ns: int) -> None:
        self._price = price
        self._billing_ns = billing_ns
        self._paid = Paid(billing_ns)
        self._before_usd = 0.0  # billed by other prices
        self._month_began_ns: int | None = None
        self._month_before_usd = 0.0

    def adopt(self, price: Price, billing_ns: int, now: int) -> None:
        """Prices and budgets are these from now on; what was billed stays so.

        Where replicas cost something else, those that are there are billed anew.
        """
        was = (self._price.metered_usd_per_replica_hour, self._billing_ns)
        if was != (price.metered_usd_per_replica_hour, billing_ns):
            there = len(self._paid)
            self._before_usd = self.paid_usd(now)
            self._paid, self._billing_ns = Paid(billing_ns), billing_ns
            self._price = price
            self.set(there, now)
        self._price = price

    def memory(self) -> Bill:
        """What was billed."""
        return Bill(
            self._price.metered_usd_per_replica_hour,
            self._billing_ns,
            self._paid.memory(),
            self._paid.spent_ns,
            self._before_usd,
            self._month_began_ns,
            self._month_before_usd,
        )

    def recall(self, bill: Bill, now: int) -> None:
        """Go on with what was billed before; by other prices, where they were others."""
        price, billing_ns = self._price, self._billing_ns
        self._price = replace(price, metered_usd_per_replica_hour=bill.usd_per_hour)
        self._billing_ns, self._paid = bill.billing_ns, Paid(bill.billing_ns)
        self._paid.recall(bill.asked_unix_ns, bill.paid_ns)
        self._before_usd = bill.before_usd
        self._month_began_ns = bill.month_began_unix_ns
        self._month_before_usd = bill.month_before_usd
        self.adopt(price, billing_ns, now)

    @property
    def is_free(self) -> bool:
        """Whether nothing is metered here."""
        return self._price.metered_usd_per_replica_hour <= 0.0

    def set(self, metered: int, now: int) -> None:
        """So many metered replicas there are from now on."""
        if not self.is_free:
            self._paid.set(metered, now)

    def ending(self, within_ns: int, now: int) -> int:
        """For how many the time that is paid for ends so soon."""
        return self._paid.ending(within_ns, now)

    def paid_usd(self, now: int) -> float:
        """All that was billed since the start."""
        return self._before_usd + self._usd(self._paid.paid_ns(now))

    def metered_max(self, within_ns: int, now: int) -> int | None:
        """How many metered replicas the budgets allow; None: any number."""
        if self.is_free:
            return None
        hourly, monthly = self._price.budget_usd_per_hour, self._price.budget_usd_per_month
        usd_per_hour = self._price.metered_usd_per_replica_hour
        bounds = []
        if hourly is not None:
            bounds.append(int((hourly + _CENT) / usd_per_hour))
        if monthly is not None:
            left_usd = monthly - self._this_month_usd(now)
            each_usd = self._usd(max(self._billing_ns, within_ns))
            kept = len(self._paid) - self._paid.ending(within_ns, now)
            bounds.append(kept + max(0, int((left_usd + _CENT) / each_usd)))
        return min(bounds, default=None)

    def _this_month_usd(self, now: int) -> float:
        paid_usd = self.paid_usd(now)
        if self._month_began_ns is None or now - self._month_began_ns >= _MONTH_NS:
            self._month_began_ns, self._month_before_usd = now, paid_usd
        return paid_usd - self._month_before_usd

    def _usd(self, paid_ns: int) -> float:
        return paid_ns * self._price.metered_usd_per_replica_hour / NS_PER_HOUR
