"""Long shared contexts over three continents: Mooncake's conversations, sites as GORGO had them.

Round trips vary between 26 and 40, 90 and 130, 260 and 466 ms. Hardware is equal and paid for, so
that only distance and caches tell the sites apart. Timestamps are jittered within their 3 s.
"""

import random
from collections.abc import Iterator

from benchmarks.routing.setup import Options, Setup, simulated
from benchmarks.routing.sites import H100_USD, HOME, fleet_of, prices_of, rented, replicas_of
from benchmarks.workloads.traces import MOONCAKE_BLOCK_TOKENS, read_trace, scaled
from router.policy.units import NS_PER_MS
from router.sim.hardware import H100_TP8, with_blocks
from router.sim.plan import Link, Scenario, SimSession

TRACE = "mooncake/conversation_trace.jsonl.gz"
SPEED = 1.0
EACH = 12

FLEET = fleet_of(
    HOME, rented("middle", H100_USD, committed=EACH), rented("distant", H100_USD, committed=EACH)
)


def build(options: Options) -> Setup:
    """The scenario."""

    def sessions() -> Iterator[SimSession]:
        trace = read_trace(options.traces / TRACE, rng=random.Random(options.seed))
        return simulated(scaled(trace, SPEED))

    hardware = with_blocks(H100_TP8, MOONCAKE_BLOCK_TOKENS)
    return Setup(
        name="prefix",
        title=f"Mooncake conversation, {SPEED:g} times as fast; three sites of {EACH} H100",
        fleet=FLEET,
        replicas=(
            *replicas_of("home", EACH, hardware),
            *replicas_of("middle", EACH, hardware),
            *replicas_of("distant", EACH, hardware),
        ),
        world=Scenario(
            links={
                "home": Link(26 * NS_PER_MS, jitter_ns=7 * NS_PER_MS),
                "middle": Link(90 * NS_PER_MS, jitter_ns=20 * NS_PER_MS),
                "distant": Link(260 * NS_PER_MS, jitter_ns=103 * NS_PER_MS),
            },
            block_tokens=MOONCAKE_BLOCK_TOKENS,
            prices=prices_of(FLEET),
            seed=options.seed,
        ),
        sessions=sessions,
    )
