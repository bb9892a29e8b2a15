"""What of a fleet's state and of a decision is a tenant's to see: itself, and where it may go.

How many others there are, what they ask for and what all of it costs is the operator's to know.
"""

from dataclasses import replace

from router.policy.decision import Decision
from router.policy.entitlement import may_see
from router.policy.fleet import Tenant
from wire.spillway.v1 import fleet_pb2 as pb


def state_for(state: pb.FleetState, tenant: Tenant) -> pb.FleetState:
    """The sites, their endpoints and whether those take requests; of the tenants, this one."""
    return pb.FleetState(
        router_id=state.router_id,
        sampled_unix_ns=state.sampled_unix_ns,
        sites=[
            pb.SiteState(
                name=site.name,
                kind=site.kind,
                draining=site.draining,
                endpoints=[
                    pb.EndpointState(
                        name=one.name, health=one.health, draining=one.draining, model=one.model
                    )
                    for one in site.endpoints
                    if may_see(tenant, one.model)
                ],
            )
            for site in state.sites
        ],
        tenants=[one for one in state.tenants if one.name == tenant.name],
        budgets=[one for one in state.budgets if one.tenant == tenant.name],
    )


def without_prices(decision: Decision) -> Decision:
    """A decision on the tenant's own request: what it would cost is not the tenant's to see."""
    candidates = (candidate._replace(price_usd=0.0) for candidate in decision.candidates)
    return replace(decision, candidates=tuple(candidates))
