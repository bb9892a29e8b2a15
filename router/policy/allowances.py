"""What a router holds of what the routers of its fleet share: money by site, rates by tenant."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from router.policy.allowance import Allowance, Granted, Want
from router.policy.decider import Verdict
from router.policy.judge import OVER_BUDGET, OVER_TENANT_BUDGET
from router.policy.site_state import SiteState
from router.policy.tenants import TenantState


@dataclass(frozen=True, slots=True)
class SharedSnapshot:
    """How it stands with what is shared."""

    away: bool  # the store
    routers: int
    held: tuple[tuple[str, float], ...]  # what this router may use of each bucket


class Allowances:
    """The allowances of one router by the names of their buckets."""

    def __init__(
        self,
        sites: Iterable[SiteState],
        hedges: Iterable[Allowance],
        tenants: Iterable[TenantState],
    ) -> None:
        """None where the fleet shares nothing."""
        self._take(sites, hedges, tenants)
        self.routers = 1  # that the store last counted
        self.is_away = True  # the store, until it has answered

    def adopt(
        self,
        sites: Iterable[SiteState],
        hedges: Iterable[Allowance],
        tenants: Iterable[TenantState],
        now: int,
    ) -> None:
        """Other buckets are shared; those that were are the same allowances."""
        self._take(sites, hedges, tenants)
        self.on_store(0 if self.is_away else self.routers, now)

    def _take(
        self,
        sites: Iterable[SiteState],
        hedges: Iterable[Allowance],
        tenants: Iterable[TenantState],
    ) -> None:
        money = (*(one for site in sites for one in site.spend.allowances), *hedges)
        self._money = {one.bucket.name: one for one in money}
        bounds = (bound for tenant in tenants for bound in tenant.bounds.values())
        self._rates = {b.allowance.bucket.name: b.allowance for b in bounds if b.allowance}

    def wants(self, now: int) -> tuple[Want, ...]:
        """What to ask of the store."""
        return tuple(one.want(now) for one in (*self._money.values(), *self._rates.values()))

    def ask(self, verdict: Verdict, sites: Mapping[str, SiteState], now: int) -> None:
        """What could not be paid for is wanted."""
        if not self._money or verdict.need is None:
            return
        for candidate in verdict.decision.candidates:
            if candidate.excluded == OVER_BUDGET:
                sites[candidate.site].spend.ask(candidate.price_usd, now)
            elif candidate.excluded == OVER_TENANT_BUDGET:
                verdict.need.purse.ask(candidate.price_usd, now)

    def held(self, now: int) -> tuple[tuple[str, float], ...]:
        """What may be used of each bucket."""
        both = {**self._money, **self._rates}
        return tuple((name, allowance.level(now)) for name, allowance in both.items())

    def snapshot(self, now: int) -> SharedSnapshot | None:
        """What is shared and how; None where nothing is."""
        held = self.held(now)
        return SharedSnapshot(self.is_away, self.routers, held) if held else None

    def grant(self, granted: Iterable[Granted], now: int) -> None:
        """The store gave, or is given back."""
        for one in granted:
            allowance = self._money.get(one.bucket) or self._rates.get(one.bucket)
            if allowance is not None:
                allowance.grant(one, now)

    def on_store(self, routers: int, now: int) -> None:
        """The store answers, and counts so many routers; 0: it is away.

        Money that nobody gave out is not spent. A tenant's rate is another thing: it is there to
        share engines, and to refuse everybody would leave them idle.
        """
        self.is_away = not routers
        self.routers = routers or self.routers
        share = 1.0 / self.routers if self.is_away else 0.0
        for allowance in self._rates.values():
            allowance.on_store(share, now)
