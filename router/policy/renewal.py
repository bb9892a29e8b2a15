"""An endpoint under other limits: what was learned of it stays, what bounds that changes."""

from router.policy.fleet import Limits
from router.policy.tracked import Tracked


def renew(tracked: Tracked, limits: Limits, confidences: tuple[float, ...]) -> None:
    """These are the limits, and the confidences of all classes, from now on."""
    tracked.full_pause_ns = limits.retry_after_min_ns
    tracked.breaker.limits = limits
    tracked.occupancy.adopt(limits)
    tracked.gap_limits.prior_share = limits.endpoint_itl_share
    tracked.prefix.resize(limits.prefix_blocks_max, limits.session_age_max_ns)
    tracked.ttft.ask(confidences)
    tracked.settle()
