"""What can be had: sites, what stands there, how far away they are and what they cost."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from router.policy.fleet import Fleet, Site, SiteKind
from router.policy.units import NS_PER_MS
from router.sim.hardware import A100_TP8, H100_TP8
from router.sim.plan import Link
from router.sim.profile import Profile

HARDWARE: Mapping[str, Profile] = {"h100": H100_TP8, "a100": A100_TP8}
"""A replica is a node of eight GPUs; see router.sim.hardware."""

HOURS_OF_MONTH = 730


@dataclass(frozen=True, slots=True)
class Offer:
    """The replicas that one site has, or could have."""

    site: Site
    hardware: str  # a key of HARDWARE
    replicas: int  # at most
    rtt_ms: float
    committed_usd_per_hour: float  # of a replica that is paid for, used or not

    @property
    def is_home(self) -> bool:
        """Whether it is one's own."""
        return self.site.kind is SiteKind.HOME

    @property
    def profile(self) -> Profile:
        """What a replica can do."""
        return HARDWARE[self.hardware]

    @property
    def metered_usd_per_hour(self) -> float:
        """What a replica costs while it works; at home all are committed."""
        return 0.0 if self.is_home else self.site.price.metered_usd_per_replica_hour

    @property
    def link(self) -> Link:
        """The way there."""
        return Link(int(self.rtt_ms * NS_PER_MS), int(self.rtt_ms * NS_PER_MS / 8))


def fleet_of(fleet: Fleet, committed: Mapping[str, int]) -> Fleet:
    """The same fleet with so many replicas committed at its rented sites, and no budgets.

    A budget is what somebody wants to spend; the plan says what it takes.
    """
    sites = tuple(
        replace(
            site,
            price=replace(
                site.price,
                committed_replicas=committed.get(site.name, 0),
                budget_usd_per_hour=None,
                budget_usd_per_month=None,
            ),
        )
        for site in fleet.sites
    )
    return replace(fleet, sites=sites)
