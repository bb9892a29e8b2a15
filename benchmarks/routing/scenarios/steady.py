"""Conversation without bursts, at 95 % of what all sites together can serve: Azure's of 2023."""

import random
from collections.abc import Iterator

from benchmarks.routing.scenarios.duo import FLEET, REPLICAS, world
from benchmarks.routing.setup import Options, Setup, simulated
from benchmarks.workloads.traces import read_trace, scaled
from router.sim.plan import SimSession

TRACE = "azure2023/AzureLLMInferenceTrace_conv.csv.gz"
SPEED = 10.7


def build(options: Options) -> Setup:
    """The scenario."""

    def sessions() -> Iterator[SimSession]:
        trace = read_trace(options.traces / TRACE, rng=random.Random(options.seed))
        return simulated(scaled(trace, SPEED))

    return Setup(
        name="steady",
        title=(
            f"Azure 2023 conversation, {SPEED:g} times as fast; home 8 H100, near 8 A100, "
            "far 4 H100"
        ),
        fleet=FLEET,
        replicas=REPLICAS,
        world=world(options.seed),
        sessions=sessions,
    )
