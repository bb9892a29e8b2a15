"""What the core knows of one site beyond the fleet file, and what it counts there."""

from router.policy.fleet import Site, SiteKind
from router.policy.spend import Spend


class SiteState:
    """One site."""

    __slots__ = (
        "draining",
        "failures",
        "gap_limits",
        "is_home",
        "leaving",
        "lent",
        "name",
        "output_tokens",
        "overflow_turns",
        "site",
        "spend",
        "turns",
    )

    def __init__(self, site: Site, *, shared: bool = False) -> None:
        self.site = site
        self.name = site.name
        self.is_home = site.kind is SiteKind.HOME
        self.draining = False
        self.leaving = False  # the fleet file has it no longer, and streams still run there
        self.lent: frozenset[str] = frozenset()  # endpoints given to other work
        self.spend = Spend(site, shared=shared)
        self.gap_limits: dict[str, dict[int, float]] = {}  # found, by model and objective
        self.turns = 0
        self.output_tokens = 0
        self.failures = 0
        self.overflow_turns = 0

    def adopt(self, site: Site, now: int) -> None:
        """The fleet file says something else of it; what was spent and counted stays."""
        self.site = site
        self.is_home = site.kind is SiteKind.HOME
        self.leaving = False
        self.spend.adopt(site, now)
