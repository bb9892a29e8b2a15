"""What does not change while a router runs: its sites, prices and objectives."""

from typing import Any

from router.policy.fleet import Fleet, Site, SiteKind, SloClass
from router.policy.units import seconds


def described(router: str, fleet: Fleet) -> dict[str, Any]:
    """The fleet, in the order in which frames tell of its sites. Seconds and US dollars."""
    return {
        "router": router,
        "sites": [_site(site) for site in fleet.sites],
        "classes": [_slo(slo) for slo in fleet.slo_classes],
        "default_class": fleet.default_slo,
        "tenants": [tenant.name for tenant in fleet.tenants],
    }


def _site(site: Site) -> dict[str, Any]:
    price = site.price
    rented = site.kind is SiteKind.RENTED
    return {
        "name": site.name,
        "kind": site.kind.value,
        "region": site.region,
        "usd_per_replica_hour": price.metered_usd_per_replica_hour if rented else 0.0,
        "budget_usd_per_hour": price.budget_usd_per_hour if rented else None,
        "budget_usd_per_month": price.budget_usd_per_month if rented else None,
    }


def _slo(slo: SloClass) -> dict[str, Any]:
    return {"name": slo.name, "ttft_s": seconds(slo.ttft_ns), "itl_s": seconds(slo.itl_ns)}
