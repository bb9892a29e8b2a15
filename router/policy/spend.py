"""What rented capacity costs, and whether the budget allows more of it.

A metered replica is paid by the time in which it works: while at least one of this router's
requests is in flight there. The first `committed_replicas` busy replicas of a site are paid for
anyway and cost nothing at the margin; home is sunk cost altogether. Egress is paid by the byte.

A budget is a bucket that fills at a steady rate and holds a quarter of the period's budget. The
rate is three quarters of the budget per period, so whatever the demand, no period however it is cut
costs more than the budget, and the money cannot be gone in its first minutes. What requests in
flight are expected to cost is held back beforehand. The month's budget holds for the calendar month
as well (`router.policy.month_cap`), which a router that is started again remembers.
"""

from router.policy.allowance import Allowance, Bucket
from router.policy.fleet import Price, Site, SiteKind
from router.policy.month_cap import MonthCap
from router.policy.tariff import Tariff
from router.policy.units import NS_PER_HOUR, NS_PER_S

NS_PER_MONTH = 30 * 24 * NS_PER_HOUR
_BURST_SHARE = 0.25


class Budget:
    """Money that flows in at a steady rate and may be spent."""

    __slots__ = ("_at", "_level_usd", "_most_usd", "_usd_per_ns")

    def __init__(self, usd: float, period_ns: int) -> None:
        self._most_usd = usd * _BURST_SHARE
        self._usd_per_ns = usd * (1.0 - _BURST_SHARE) / period_ns
        self._level_usd = self._most_usd
        self._at: int | None = None  # full until the first charge, whatever the clock's origin

    def resize(self, usd: float, period_ns: int, now: int) -> None:
        """The budget is another; what was spent of it, and has not flowed in again, stays spent."""
        used_usd = self._most_usd - self.level(now)
        self._most_usd = usd * _BURST_SHARE
        self._usd_per_ns = usd * (1.0 - _BURST_SHARE) / period_ns
        self._level_usd = self._most_usd - used_usd
        if self._at is not None:
            self._at = max(now, self._at)

    def level(self, now: int) -> float:
        """What may be spent now; negative after a charge that nobody foresaw."""
        if self._at is None:
            return self._most_usd
        earned = max(0, now - self._at) * self._usd_per_ns
        return min(self._most_usd, self._level_usd + earned)

    def use(self, usd: float, now: int) -> None:
        """Money was spent."""
        self._level_usd = self.level(now) - usd
        self._at = now if self._at is None else max(now, self._at)


def shared_bucket(name: str, usd: float, period_ns: int) -> Bucket:
    """What Budget is for one router, where several share it."""
    seconds = period_ns / NS_PER_S
    return Bucket(name, usd * _BURST_SHARE, usd * (1.0 - _BURST_SHARE) / seconds)


class Spend:
    """The meter and the budgets of one site."""

    __slots__ = (
        "_at",
        "_budgets",
        "_busy",
        "_named",
        "_reserved_usd",
        "_shared",
        "_usd",
        "allowances",
        "busy_usd_per_ns",
        "cap",
        "committed",
        "egress_usd_per_byte",
        "idle_usd_per_ns",
        "is_budgeted",
        "is_metered",
        "usd_per_ns",
    )

    def __init__(self, site: Site, *, shared: bool = False) -> None:
        """`shared` tells that other routers spend from the same budgets."""
        self._shared = shared
        self.cap = MonthCap(None, None)
        self._named: dict[str, Budget | Allowance] = {}
        self._price(site, 0)
        self._busy = 0  # replicas with at least one of our requests in flight
        # What more work costs at the margin, on a replica that works already and on an idle one.
        self.busy_usd_per_ns = 0.0
        self.idle_usd_per_ns = 0.0
        self._usd = 0.0
        self._reserved_usd = 0.0
        self._at = 0
        self._set_margins()

    def adopt(self, site: Site, now: int) -> None:
        """The site has another price or other budgets; until now it cost what it did.

        What was spent of a budget stays spent; one that there was not before begins full.
        """
        self._settle(now)
        self._price(site, now)
        self._set_margins()

    def _price(self, site: Site, now: int) -> None:
        price, tariff = site.price if site.kind is SiteKind.RENTED else Price(), Tariff(site)
        self.usd_per_ns = tariff.metered_usd_per_ns
        self.egress_usd_per_byte = tariff.egress_usd_per_byte
        self.committed = price.committed_replicas
        limits = (
            ("hour", price.budget_usd_per_hour, NS_PER_HOUR),
            ("month", price.budget_usd_per_month, NS_PER_MONTH),
        )
        named = [(name, usd, period) for name, usd, period in limits if usd is not None]
        self._named = {
            name: self._budget(f"usd/{site.name}/{name}", self._named.get(name), usd, period, now)
            for name, usd, period in named
        }
        calendar_usd = price.calendar_usd_per_month
        self.cap.most_usd = price.budget_usd_per_month if calendar_usd is None else calendar_usd
        self.cap.warn_usd = price.warn_usd_per_month
        self._budgets = tuple(self._named.values())
        self.allowances = tuple(one for one in self._budgets if isinstance(one, Allowance))
        self.is_budgeted = bool(self._budgets)
        self.is_metered = self.usd_per_ns > 0.0 or self.egress_usd_per_byte > 0.0

    def _budget(
        self, bucket: str, budget: Budget | Allowance | None, usd: float, period_ns: int, now: int
    ) -> Budget | Allowance:
        """A budget of this size: the one there is, where there is one."""
        if isinstance(budget, Allowance):
            budget.resize(shared_bucket(bucket, usd, period_ns), now)
        elif isinstance(budget, Budget):
            budget.resize(usd, period_ns, now)
        elif self._shared:
            budget = Allowance(shared_bucket(bucket, usd, period_ns))
        else:
            budget = Budget(usd, period_ns)
        return budget

    def allows(self, price_usd: float, now: int) -> bool:
        """Whether every budget has room for a request of this price."""
        if not self._budgets:
            return True
        owed = self._accrued(now) + self._reserved_usd + price_usd
        levels = (budget.level(now) for budget in self._budgets)
        return self.cap.has_room(owed) and all(level >= owed for level in levels)

    def ask(self, price_usd: float, now: int) -> None:
        """A request of this price could not be paid for."""
        for allowance in self.allowances:
            allowance.ask(self._accrued(now) + self._reserved_usd + price_usd, now)

    def spent_usd(self, now: int) -> float:
        """Everything spent since the start."""
        return self._usd + self._accrued(now)

    def on_send(self, price_usd: float, now: int, *, more: int) -> None:
        """A request was sent, and so many more replicas work for it: 1, or 0 if one did before."""
        self._settle(now)
        self._reserved_usd += price_usd
        if more:
            self._busy += more
            self._set_margins()

    def on_end(self, price_usd: float, egress_bytes: int, now: int, *, fewer: int) -> None:
        """A request ended, and so many replicas have none of ours left."""
        self._settle(now)
        self._reserved_usd = max(0.0, self._reserved_usd - price_usd)
        if fewer:
            self._busy -= fewer
            self._set_margins()
        self._charge(egress_bytes * self.egress_usd_per_byte, now)

    def _set_margins(self) -> None:
        metered = self._busy - self.committed
        self.busy_usd_per_ns = self.usd_per_ns if metered > 0 else 0.0
        self.idle_usd_per_ns = self.usd_per_ns if metered >= 0 else 0.0

    def _accrued(self, now: int) -> float:
        metered = max(0, self._busy - self.committed)
        return metered * max(0, now - self._at) * self.usd_per_ns

    def _settle(self, now: int) -> None:
        self._charge(self._accrued(now), now)
        self._at = max(now, self._at)

    def _charge(self, usd: float, now: int) -> None:
        if usd > 0.0:
            self._usd += usd
            self.cap.use(usd)
            for budget in self._budgets:
                budget.use(usd, now)
