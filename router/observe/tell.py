"""From what happened to the method of the core that takes it."""

import random
from typing import assert_never

from router.observe.event import (
    AskedAgain,
    ConnectionChanged,
    DrainChanged,
    EndpointGone,
    EndpointUp,
    FleetChanged,
    Happening,
    HedgeDue,
    LeaseClaimed,
    LendChanged,
    LoadHeard,
    LoansChanged,
    OutcomeSeen,
    QuarantineReleased,
    RequestArrived,
    RequestWithdrawn,
    RolloutChanged,
    RoundTripMeasured,
    SiteLeaseChanged,
    SpentHeard,
    Started,
    StoreHeard,
    Ticked,
)
from router.policy.core import RouterCore
from router.policy.decision import Decision


def tell(  # noqa: C901, PLR0912 - one case for each method of the core
    core: RouterCore, happening: Happening, now_ns: int, rng: random.Random
) -> Decision | None:
    """Calls the method of the core that this happening stands for.

    The live router and the replay of its log both go through here, so that they cannot differ.
    """
    match happening:
        case RequestArrived(request):
            return core.on_request(request, now_ns, rng)
        case AskedAgain(again):
            return core.on_asked_again(again, now_ns, rng)
        case RequestWithdrawn(request):
            core.on_withdrawn(request, now_ns)
        case HedgeDue(request):
            return core.on_hedge_due(request, now_ns, rng)
        case QuarantineReleased(fingerprint):
            core.on_quarantine_released(fingerprint, now_ns)
        case RolloutChanged(name, why, new):
            core.rollouts.change(name, why, now_ns, new)
        case LeaseClaimed(claim):
            core.on_claim(claim, now_ns)
        case OutcomeSeen(outcome):
            return core.on_outcome(outcome, now_ns, rng)
        case LoadHeard(report):
            core.on_load(report, now_ns)
        case RoundTripMeasured(endpoint, rtt_ns):
            core.on_rtt(endpoint, rtt_ns, now_ns)
        case ConnectionChanged(endpoint, connected, silent):
            core.on_connection(endpoint, connected, now_ns, silent=silent)
        case FleetChanged(fleet):
            core.on_fleet(fleet, now_ns)
        case EndpointUp(listed):
            core.on_endpoint_up(listed, now_ns)
        case EndpointGone(name):
            core.on_endpoint_gone(name, now_ns)
        case DrainChanged(site, draining):
            core.on_drain(site, draining, now_ns)
        case LendChanged(site, endpoints):
            core.on_lend(site, endpoints, now_ns)
        case SiteLeaseChanged(site, ending):
            core.on_site_lease(site, ending, now_ns)
        case StoreHeard(routers, granted):
            core.on_store(routers, granted, now_ns)
        case SpentHeard(spent):
            core.on_spent(spent, now_ns)
        case Ticked():
            core.on_tick(now_ns)
        case Started() | LoansChanged():
            pass
        case _:
            assert_never(happening)
    return None
