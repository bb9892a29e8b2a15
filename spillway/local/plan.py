"""What a local fleet is to be: its sites, its service classes, where its router listens."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from router.policy.fleet import Price, SiteKind, SloClass

GIB = 1024**3
SITE_BYTES = int(1.2 * GIB)  # Ray's and Serve's processes; measured: 1.1 GiB
ENGINE_PACKAGES = {"vllm": {"ray", "vllm"}, "fake": {"ray"}}
ENGINE_BYTES = {"vllm": int(1.6 * GIB), "fake": int(0.1 * GIB)}  # with the built-in model, on a CPU


@dataclass(frozen=True, slots=True)
class SitePlan:
    """One site."""

    name: str
    kind: SiteKind
    serving: Mapping[str, Any]  # the arguments of serving.app:build
    price: Price = field(default_factory=Price)

    @property
    def replicas(self) -> int:
        """How many engines it runs."""
        return int(self.serving.get("replicas", 1))

    @property
    def packages(self) -> set[str]:
        """The packages that it needs installed here, by the engine it runs."""
        return ENGINE_PACKAGES[self.serving.get("engine", "vllm")]

    @property
    def memory_bytes(self) -> int:
        """What it takes, by the engine it runs."""
        return SITE_BYTES + self.replicas * ENGINE_BYTES[self.serving.get("engine", "vllm")]


@dataclass(frozen=True, slots=True)
class FleetPlan:
    """A fleet; its first service class is the default one."""

    sites: tuple[SitePlan, ...]
    slo_classes: tuple[SloClass, ...]
    listen: str | None = None  # the router's address (host:port); None: any free port
    openai_listen: str | None = None  # the same for its address of OpenAI's API
    gateways: bool = False  # a router in front of each site, and the fleet's in front of those

    def gateway(self, site: SitePlan) -> "FleetPlan":
        """What the gateway of a site sees: its own site, which to it is home."""
        return FleetPlan((replace(site, kind=SiteKind.HOME, price=Price()),), self.slo_classes)

    @property
    def packages(self) -> set[str]:
        """The packages that it needs installed here; the router's are Spillway's own."""
        return set().union(*(site.packages for site in self.sites))

    @property
    def memory_bytes(self) -> int:
        """What it takes; the router's own share is within what a site's figure is rounded up by."""
        return sum(site.memory_bytes for site in self.sites)
