"""Every policy that can be compared, by the name that tables and commands use.

A factory is given the fleet, because some policies know what home is or in which order the sites
are preferred; the fleet's prices and objectives are ours alone to use.
"""

from collections.abc import Callable

from router.policy.core import RouterCore
from router.policy.fleet import Fleet
from router.sim.policy import Policy
from router.sim.rivals.consistent_hash import ConsistentHash
from router.sim.rivals.dynamo_kv import DynamoKv
from router.sim.rivals.gorgo import Gorgo
from router.sim.rivals.home_only import HomeOnly
from router.sim.rivals.llm_d import LlmD
from router.sim.rivals.llm_d_latency import LlmDLatency
from router.sim.rivals.peak_ewma import PeakEwma
from router.sim.rivals.preble import PrebleE2
from router.sim.rivals.ray_prefix import RayPrefix
from router.sim.rivals.sageserve import SageServe
from router.sim.rivals.simple import LeastRequests, PowerOfTwo, RoundRobin
from router.sim.rivals.skylb import SkyLb
from router.sim.rivals.smg_cache_aware import SmgCacheAware

OURS = "spillway"

POLICIES: dict[str, Callable[[Fleet], Policy]] = {
    "round-robin": lambda _fleet: RoundRobin(),
    "least-requests": lambda _fleet: LeastRequests(),
    "power-of-two": lambda _fleet: PowerOfTwo(),
    "peak-ewma": lambda _fleet: PeakEwma(),
    "consistent-hash": lambda _fleet: ConsistentHash(),
    "skylb": lambda _fleet: SkyLb(),
    "gorgo": lambda _fleet: Gorgo(),
    "dynamo": lambda _fleet: DynamoKv(),
    "dynamo-tuned": lambda _fleet: DynamoKv.tuned(),
    "smg": lambda _fleet: SmgCacheAware(),
    "smg-python": lambda _fleet: SmgCacheAware.python_defaults(),
    "llm-d": lambda _fleet: LlmD(),
    "llm-d-latency": LlmDLatency,
    "ray-prefix": lambda _fleet: RayPrefix(),
    "preble": lambda _fleet: PrebleE2(),
    "sageserve": lambda _fleet: SageServe(),
    "home-only": HomeOnly,
    OURS: RouterCore,
}
