"""What autoscaling is shown of a router: what was asked of it, and what its sites are doing."""

from router.policy.decision import Decision
from router.policy.need import Need
from router.policy.registry import Registry
from router.policy.request import Request
from router.policy.scaling.capacity import Sample, sample
from router.policy.scaling.demand import DemandTally
from router.policy.snapshot import Totals


class ScalingView:
    """Counts what is asked, and samples it with the state of the sites."""

    def __init__(self, registry: Registry, totals: Totals) -> None:
        self._registry = registry
        self._totals = totals
        self._demand = DemandTally()

    def counted(self, request: Request, need: Need | None, decision: Decision) -> Decision:
        """The decision that a request got when it came, which is counted now."""
        self._demand.count(request, need, decision)
        return decision

    def sample(self) -> Sample:
        """What was asked so far, and what each site is able to do."""
        return sample(self._demand.asked(self._totals.late), self._registry)
