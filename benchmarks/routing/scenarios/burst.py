"""Code completion in bursts: Azure's trace of 2023, in which ten seconds may ask 13 times the mean.

Home has eight H100 nodes; eight A100 nodes are committed at a site 2 ms away, as over a private
interconnect; four H100 nodes are metered 35 ms away.
"""

import random
from collections.abc import Iterator

from benchmarks.routing.setup import REPLICA, Options, Setup, simulated
from benchmarks.routing.sites import (
    A100_USD,
    H100_USD,
    HOME,
    fleet_of,
    prices_of,
    rented,
    replicas_of,
)
from benchmarks.workloads.traces import read_trace, scaled
from router.policy.fleet import Fleet
from router.policy.units import NS_PER_MS
from router.sim.hardware import A100_TP8, H100_TP8
from router.sim.plan import Link, Scenario, SimSession

TRACE = "azure2023/AzureLLMInferenceTrace_code.csv.gz"
SPEED = 6.0

FLEET = fleet_of(HOME, rented("near", A100_USD, committed=8), rented("far", H100_USD))
REPLICAS: tuple[REPLICA, ...] = (
    *replicas_of("home", 8, H100_TP8),
    *replicas_of("near", 8, A100_TP8),
    *replicas_of("far", 4, H100_TP8),
)


def world_of(fleet: Fleet, seed: int) -> Scenario:
    """The links of the fleet that `burst` and `steady` share."""
    return Scenario(
        links={
            "home": Link(NS_PER_MS // 2),
            "near": Link(2 * NS_PER_MS, jitter_ns=NS_PER_MS // 2),
            "far": Link(35 * NS_PER_MS, jitter_ns=5 * NS_PER_MS),
        },
        block_tokens=H100_TP8.block_tokens,
        prices=prices_of(fleet),
        seed=seed,
    )


def build(options: Options) -> Setup:
    """The scenario."""

    def sessions() -> Iterator[SimSession]:
        trace = read_trace(options.traces / TRACE, rng=random.Random(options.seed))
        return simulated(scaled(trace, SPEED))

    return Setup(
        name="burst",
        title=f"Azure 2023 code, {SPEED:g} times as fast",
        fleet=FLEET,
        replicas=REPLICAS,
        world=world_of(FLEET, options.seed),
        sessions=sessions,
    )
