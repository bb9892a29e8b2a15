"""The fleet of `burst` and `steady`: home, committed A100s next door, metered H100s far away.

Home has eight H100 nodes. Eight A100 nodes are committed 2 ms away, as over a private interconnect
of two clouds; four H100 nodes are metered 35 ms away.
"""

from benchmarks.routing.setup import REPLICA
from benchmarks.routing.sites import (
    A100_USD,
    H100_USD,
    HOME,
    fleet_of,
    prices_of,
    rented,
    replicas_of,
)
from router.policy.units import NS_PER_MS
from router.sim.hardware import A100_TP8, H100_TP8
from router.sim.plan import Link, Scenario

FLEET = fleet_of(HOME, rented("near", A100_USD, committed=8), rented("far", H100_USD))
REPLICAS: tuple[REPLICA, ...] = (
    *replicas_of("home", 8, H100_TP8),
    *replicas_of("near", 8, A100_TP8),
    *replicas_of("far", 4, H100_TP8),
)


def world(seed: int) -> Scenario:
    """The links and the prices."""
    return Scenario(
        links={
            "home": Link(NS_PER_MS // 2),
            "near": Link(2 * NS_PER_MS, tail_ns=NS_PER_MS // 10, bytes_per_s=1_000_000_000),
            "far": Link(35 * NS_PER_MS, tail_ns=2 * NS_PER_MS, bytes_per_s=100_000_000),
        },
        block_tokens=H100_TP8.block_tokens,
        prices=prices_of(FLEET),
        seed=seed,
    )
