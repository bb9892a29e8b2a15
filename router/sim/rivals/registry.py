"""Every policy that can be compared, by the name that tables and commands use.

A factory is given the fleet, because some policies know what home is or in which order the sites
are preferred; the fleet's prices and objectives are ours alone to use.
"""

from collections.abc import Callable

from router.policy.core import RouterCore
from router.policy.fleet import Fleet
from router.sim.policy import Policy
from router.sim.rivals.simple import LeastRequests, PowerOfTwo, RoundRobin

OURS = "spillway"

POLICIES: dict[str, Callable[[Fleet], Policy]] = {
    "round-robin": lambda _fleet: RoundRobin(),
    "least-requests": lambda _fleet: LeastRequests(),
    "power-of-two": lambda _fleet: PowerOfTwo(),
    OURS: RouterCore,
}
