"""What the core knows of one site beyond the fleet file, and what it counts there."""

from router.policy.fleet import Limits, Site, SiteKind
from router.policy.meter import SiteMeter
from router.policy.spend import Spend
from router.policy.tariff import Tariff
from router.policy.warming import TurnCount, Warming


class SiteState:
    """One site."""

    __slots__ = (
        "drained",
        "draining",
        "failures",
        "gap_limits",
        "is_home",
        "lease_ends",
        "leaving",
        "lent",
        "met",
        "meter",
        "name",
        "output_tokens",
        "overflow_turns",
        "site",
        "spend",
        "tariff",
        "turns",
        "warming",
        "work_tokens",
    )

    def __init__(
        self, site: Site, limits: Limits, turns: TurnCount, *, shared: bool = False
    ) -> None:
        self.site = site
        self.name = site.name
        self.is_home = site.kind is SiteKind.HOME
        self.drained = False  # by an operator
        self.lease_ends = False  # so soon that nothing new is begun there
        self.draining = False  # for either reason
        self.leaving = False  # the fleet file has it no longer, and streams still run there
        self.met = False  # whether an endpoint of it was ever listed
        self.warming = Warming(limits, turns)
        self.lent: frozenset[str] = frozenset()  # endpoints given to other work
        self.spend = Spend(site, shared=shared)
        self.meter = SiteMeter(site)
        self.tariff = Tariff(site)
        self.gap_limits: dict[str, dict[int, float]] = {}  # found, by model and objective
        self.turns = 0
        self.work_tokens = 0.0  # of what was sent; see admission.work_of
        self.output_tokens = 0
        self.failures = 0
        self.overflow_turns = 0

    def adopt(self, site: Site, limits: Limits, now: int) -> None:
        """The fleet file says something else of it; what was spent and counted stays.

        Of one that had left, whoever looks at clocks and loans has forgotten what it told, and
        tells it anew.
        """
        if self.leaving:
            self.end_lease(False)
            self.lent = frozenset()
        self.site = site
        self.is_home = site.kind is SiteKind.HOME
        self.leaving = False
        self.spend.adopt(site, now)
        self.meter.adopt(site, now)
        self.tariff = Tariff(site)  # for what ends from now on
        self.warming.adopt(limits)

    def drain(self, drained: bool) -> None:
        """An operator drains it, or takes that back."""
        self.drained = drained
        self.draining = self.drained or self.lease_ends

    def end_lease(self, ending: bool) -> None:
        """Its lease ends soon, or does not any more."""
        self.lease_ends = ending
        self.draining = self.drained or self.lease_ends
