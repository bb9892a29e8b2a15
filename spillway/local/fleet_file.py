"""The fleet file of a local fleet: how `spillway route` and people reach its sites."""

from collections.abc import Sequence

from router.live.settings import RouterSettings, SiteAccess
from router.policy.fleet import Fleet, Site
from spillway.fleet import FleetFile, write
from spillway.local.plan import FleetPlan
from spillway.local.ray_head import HOST
from spillway.local.site import APPLICATION, LocalSite


def way_to(site: LocalSite) -> SiteAccess:
    """How a router finds the replicas of a site by its dashboard.

    Ray lists its nodes by the machine's own address; from here they are on the loopback one too.
    """
    return SiteAccess(site.plan.name, site.ports.dashboard_url, APPLICATION, host=HOST)


def fleet_file(plan: FleetPlan, ways: Sequence[SiteAccess], router: RouterSettings) -> str:
    """Its text: the sites of the plan, each reached in its way."""
    fleet = Fleet(
        sites=tuple(Site(one.name, one.kind, "local", one.price) for one in plan.sites),
        slo_classes=plan.slo_classes,
        default_slo=plan.slo_classes[0].name,
    )
    return write(FleetFile(fleet, tuple(ways), router))
