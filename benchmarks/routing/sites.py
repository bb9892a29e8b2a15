"""The parts that scenarios are put together from: objectives, sites, prices, replicas.

Prices are list prices of nodes of eight GPUs (the site model's `gpu_prices.csv`), in US dollars of
an hour; a replica is a node.
"""

from router.policy.fleet import Fleet, Price, Site, SiteKind, SloClass
from router.policy.units import NS_PER_MS, NS_PER_S
from router.sim.profile import Profile

CHAT = SloClass(
    "chat",
    ttft_ns=NS_PER_S,
    ttft_ns_per_prompt_token=NS_PER_MS // 4,
    itl_ns=100 * NS_PER_MS,
    confidence=0.99,
)
"""TTFT within 1 s and 0.25 ms for each token of prompt; the p95 of a turn's gaps within 100 ms."""

A100_USD = 32.00  # OCI BM.GPU.A100-v2.8
H100_USD = 55.04  # AWS p5.48xlarge
EGRESS_USD_PER_GIB = 0.05

HOME = Site("home", SiteKind.HOME)


def rented(name: str, usd_per_hour: float, *, committed: int = 0) -> Site:
    """A rented site; of its replicas so many are committed, the others are paid while they work."""
    price = Price(
        committed_replicas=committed,
        metered_usd_per_replica_hour=usd_per_hour,
        egress_usd_per_gib=EGRESS_USD_PER_GIB,
    )
    return Site(name, SiteKind.RENTED, price=price)


def fleet_of(*sites: Site) -> Fleet:
    """A fleet with one class of service."""
    return Fleet(sites=sites, slo_classes=(CHAT,), default_slo=CHAT.name)


def prices_of(fleet: Fleet) -> dict[str, Price]:
    """What the meters of a fleet's rented sites charge."""
    return {site.name: site.price for site in fleet.sites if site.kind is SiteKind.RENTED}


def replicas_of(site: str, count: int, profile: Profile) -> tuple[tuple[str, str, Profile], ...]:
    """So many equal replicas at a site."""
    return tuple((f"{site}/{index}", site, profile) for index in range(count))
