"""How far a site may grow and shrink by itself, what another replica of it takes, and how soon.

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


@dataclass(frozen=True, slots=True)
class Autoscaling:
    """How quickly the sites that scale follow demand. The same in every router of a fleet."""

    level_ns: int = 480 * NS_PER_S  # what is asked now is a mean of so long: no burst is demand
    look_ns: int = 10 * NS_PER_S  # between looks; a tenth of the soonest that a replica starts
    find_ns: int = 30 * NS_PER_S
    """In which a router that starts finds what there is: dashboards answer, endpoints connect. What
    it wanted before would be too little, and sites follow at once."""


AUTOSCALING = Autoscaling()
"""As sites follow where the fleet file says nothing of it."""
