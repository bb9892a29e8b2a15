"""What a tenant may spend in a month on metered capacity and egress.

With an empty purse its requests stay where they cost nothing: at home, and on committed replicas.
What its requests in flight are expected to cost is held back, as of a site's budget. Where routers
share a store, the budget flows in steadily for all of them together, as a site's does
(`router.policy.spend`).
"""

from collections.abc import Iterable, Iterator

from router.policy.allowance import Allowance
from router.policy.fleet import DEFAULT_TENANT, Fleet, Tenant
from router.policy.month_cap import MonthCap, Spent
from router.policy.spend import NS_PER_MONTH, shared_bucket

FORMER_MAX = 256
"""Tenants that the fleet file has no longer, and whose spending is remembered."""


class Purse:
    """One tenant's."""

    __slots__ = ("_reserved_usd", "allowance", "cap", "tenant")

    def __init__(self, tenant: Tenant, *, shared: bool) -> None:
        """`shared` tells that other routers spend from the same budget."""
        self.tenant = tenant.name
        self.cap = MonthCap(tenant.budget_usd_per_month, tenant.warn_usd_per_month)
        self.allowance: Allowance | None = None
        self._reserved_usd = 0.0
        self._share(tenant, 0, shared=shared)

    def adopt(self, tenant: Tenant, now: int, *, shared: bool) -> None:
        """The budget is another; what was spent stays spent."""
        self.cap.most_usd = tenant.budget_usd_per_month
        self.cap.warn_usd = tenant.warn_usd_per_month
        self._share(tenant, now, shared=shared)

    def _share(self, tenant: Tenant, now: int, *, shared: bool) -> None:
        most_usd = tenant.budget_usd_per_month
        if not shared or most_usd is None:
            self.allowance = None
            return
        bucket = shared_bucket(f"usd/tenant/{tenant.name}/month", most_usd, NS_PER_MONTH)
        if self.allowance is None:
            self.allowance = Allowance(bucket)
        else:
            self.allowance.resize(bucket, now)

    @property
    def is_bounded(self) -> bool:
        """Whether anything may ever be too dear for it."""
        return self.cap.most_usd is not None

    def allows(self, price_usd: float, now: int) -> bool:
        """Whether there is room for a request of this price; what costs nothing is always."""
        if price_usd <= 0.0:
            return True
        owed_usd = self._reserved_usd + price_usd
        if not self.cap.has_room(owed_usd):
            return False
        return self.allowance is None or self.allowance.level(now) >= owed_usd

    def ask(self, price_usd: float, now: int) -> None:
        """A request of this price could not be paid for."""
        if self.allowance is not None:
            self.allowance.ask(self._reserved_usd + price_usd, now)

    def on_send(self, price_usd: float) -> None:
        """A request of this price was sent."""
        self._reserved_usd += price_usd

    def on_end(self, price_usd: float) -> None:
        """It ended: nothing is held back for it any more."""
        self._reserved_usd = max(0.0, self._reserved_usd - price_usd)

    def use(self, spent_usd: float, now: int) -> None:
        """A request came to this."""
        self.cap.use(spent_usd)
        if self.allowance is not None and spent_usd > 0.0:
            self.allowance.use(spent_usd, now)


class Purses:
    """Those of a fleet's tenants."""

    def __init__(self, fleet: Fleet) -> None:
        self._by_tenant: dict[str, Purse] = {}
        self._former: dict[str, Purse] = {}  # of tenants that may come back: spent is spent
        self._spent = Spent(0)
        self.adopt(fleet, 0)

    def adopt(self, fleet: Fleet, now: int) -> None:
        """The fleet has these tenants; of those that it had before, what they spent is kept."""
        tenants = {DEFAULT_TENANT: Tenant(DEFAULT_TENANT)} | {
            one.name: one for one in fleet.tenants
        }
        known = {**self._former, **self._by_tenant}
        self._by_tenant = {}
        for tenant in tenants.values():
            purse = known.get(tenant.name)
            if purse is None:
                purse = Purse(tenant, shared=fleet.shares)
            else:
                purse.adopt(tenant, now, shared=fleet.shares)
            self._by_tenant[tenant.name] = purse
        self._default = self._by_tenant[DEFAULT_TENANT]
        gone = [(name, one) for name, one in known.items() if name not in self._by_tenant]
        self._former = dict(gone[-FORMER_MAX:])
        self.hear(self._spent)

    def hear(self, spent: Spent) -> None:
        """Others have spent this."""
        self._spent = spent
        if not spent.month:
            return
        usd = dict(spent.tenants)
        for purse in (*self._by_tenant.values(), *self._former.values()):
            purse.cap.hear(spent.month, usd.get(purse.tenant, 0.0))

    def __iter__(self) -> Iterator[Purse]:
        return iter(self._by_tenant.values())

    def of(self, tenant: str) -> Purse:
        """The purse that pays for this name of a client's."""
        return self._by_tenant.get(tenant, self._default)

    @property
    def allowances(self) -> Iterable[Allowance]:
        """What is shared with other routers."""
        return [purse.allowance for purse in self if purse.allowance is not None]
