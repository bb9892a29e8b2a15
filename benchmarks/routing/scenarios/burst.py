"""Code completion in bursts: Azure's trace of 2023, in which ten seconds may ask 13 times the mean.

Home alone serves 70 % of the busiest half minute. Overflow has somewhere to go for most of it.
"""

import random
from collections.abc import Iterator

from benchmarks.routing.scenarios.duo import FLEET, REPLICAS, world
from benchmarks.routing.setup import Options, Setup, simulated
from benchmarks.workloads.traces import read_trace, scaled
from router.sim.plan import SimSession

TRACE = "azure2023/AzureLLMInferenceTrace_code.csv.gz"
SPEED = 5.2


def build(options: Options) -> Setup:
    """The scenario."""

    def sessions() -> Iterator[SimSession]:
        trace = read_trace(options.traces / TRACE, rng=random.Random(options.seed))
        return simulated(scaled(trace, SPEED))

    return Setup(
        name="burst",
        title=f"Azure 2023 code, {SPEED:g} times as fast; home 8 H100, near 8 A100, far 4 H100",
        fleet=FLEET,
        replicas=REPLICAS,
        world=world(options.seed),
        sessions=sessions,
    )
