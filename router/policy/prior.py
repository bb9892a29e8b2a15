"""What is believed of an endpoint before it has served anything."""

from typing import NamedTuple

from router.policy.predictor import COSTS_UNKNOWN, Costs
from router.policy.units import NS_PER_MS


class Prior(NamedTuple):
    """From endpoints like it, or as its site was measured."""

    costs: Costs = COSTS_UNKNOWN
    itl_base_ns: float = 20.0 * NS_PER_MS
    itl_stream_ns: float = 0.5 * NS_PER_MS
    rtt_ns: int = 0
