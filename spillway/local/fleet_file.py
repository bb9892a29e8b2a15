"""The fleet file of a local fleet: how `spillway route` and people reach its sites."""

from collections.abc import Sequence

from router.live.settings import RouterSettings, SiteAccess
from router.policy.fleet import Fleet, Site
from spillway.fleet import FleetFile, write
from spillway.local.plan import FleetPlan
from spillway.local.ray_head import HOST
from spillway.local.site import APPLICATION, LocalSite


def fleet_file(plan: FleetPlan, sites: Sequence[LocalSite], router: RouterSettings) -> str:
    """Its text."""
    fleet = Fleet(
        sites=tuple(Site(one.name, one.kind, "local", one.price) for one in plan.sites),
        slo_classes=plan.slo_classes,
        default_slo=plan.slo_classes[0].name,
    )
    # Ray lists its nodes by the machine's own address; from here they are on the loopback one too.
    access = tuple(
        SiteAccess(site.plan.name, site.ports.dashboard_url, APPLICATION, host=HOST)
        for site in sites
    )
    return write(FleetFile(fleet, access, router))
