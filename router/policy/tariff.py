"""What the time of a site's replicas costs, and the bytes that leave it."""

from router.policy.fleet import Price, Site, SiteKind
from router.policy.units import NS_PER_HOUR, NS_PER_S

_BYTES_PER_GIB = 1 << 30


class Tariff:
    """One site's, in US dollars and GPU-seconds."""

    __slots__ = (
        "committed_usd_per_ns",
        "egress_usd_per_byte",
        "gpu_s_per_ns",
        "metered_usd_per_ns",
    )

    def __init__(self, site: Site) -> None:
        self.committed_usd_per_ns = site.price.committed_usd_per_replica_hour / NS_PER_HOUR
        # Home is sunk cost, whatever the file says.
        price = site.price if site.kind is SiteKind.RENTED else Price()
        self.metered_usd_per_ns = price.metered_usd_per_replica_hour / NS_PER_HOUR
        self.egress_usd_per_byte = price.egress_usd_per_gib / _BYTES_PER_GIB
        self.gpu_s_per_ns = site.gpus / NS_PER_S
