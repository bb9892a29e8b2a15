"""Which replicas of which site serve a demand, in the order in which sites are used.

Home first, then what is committed and paid for anyway, then metered replicas, the cheapest work
first: the order of the router's own rules, so that what is planned is what is used.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from router.policy.fleet import Site, SiteKind


class Part(NamedTuple):
    """So many replicas of a site, all sunk cost or all metered."""

    site: str
    replicas: int
    metered: bool


def parts_of(
    sites: Sequence[Site], usable: Mapping[str, int], per_s: Mapping[str, float]
) -> tuple[Part, ...]:
    """The parts in their order; `usable` is how many replicas a site may have at most.

    `per_s` is the work that one replica of each does.
    """
    home = [site for site in sites if site.kind is SiteKind.HOME]
    rented = [site for site in sites if site.kind is SiteKind.RENTED]

    def price(site: Site) -> float:
        return site.price.metered_usd_per_replica_hour / per_s[site.name]

    found = [Part(site.name, usable[site.name], metered=False) for site in home]
    for site in rented:
        committed = min(site.price.committed_replicas, usable[site.name])
        found.append(Part(site.name, committed, metered=False))
    for site in sorted(rented, key=price):
        more = usable[site.name] - site.price.committed_replicas
        found.append(Part(site.name, max(0, more), metered=True))
    return tuple(found)


def needs(
    work_per_s: float, parts: Sequence[Part], per_s: Mapping[str, float], limit: float
) -> dict[str, float]:
    """How many replicas of each site so much work keeps busy up to `limit`, unrounded.

    What all of them together cannot take is left out.
    """
    left = work_per_s / limit
    found: dict[str, float] = {}
    for part in parts:
        takes = min(float(part.replicas), left / per_s[part.site])
        found[part.site] = found.get(part.site, 0.0) + takes
        left = max(0.0, left - takes * per_s[part.site])
    return found
