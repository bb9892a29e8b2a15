"""How far a site may grow and shrink by itself, and what another replica of it takes.

These are values of the fleet file. What is wanted of a site within them is decided in
`router.policy.scaling`.
"""

from dataclasses import dataclass

from router.policy.units import NS_PER_S


@dataclass(frozen=True, slots=True)
class Scale:
    """The bounds of one site's replicas."""

    replicas_min: int
    replicas_max: int
    start_ns: int = 300 * NS_PER_S  # from asking for a replica to its first token: a node, weights
    billing_ns: int = 60 * NS_PER_S  # a metered replica is paid by this; what has begun is paid for
    spare_ns: int = 600 * NS_PER_S  # a replica is given back after it was not needed for so long
