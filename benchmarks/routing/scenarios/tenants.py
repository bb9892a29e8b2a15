"""Unequal tenants: ServeGen's DeepSeek-R1 clients around their peak, and the largest misbehaves.

Two hours of the clients' day, at a share of their rates. For half an hour in the middle the largest
of them asks ten times as much.
"""

from collections.abc import Iterator
from dataclasses import replace

from benchmarks.routing.scenarios.duo import FLEET, world
from benchmarks.routing.setup import Options, Setup, simulated
from benchmarks.routing.sites import replicas_of
from benchmarks.workloads.servegen import Client, read_clients
from benchmarks.workloads.servegen import sessions as drawn
from router.sim.hardware import A100_TP8, H100_TP8
from router.sim.plan import SimSession

TRACE = "servegen_deepseek_r1/deepseek-r1.tar.xz"
BEGIN_S, END_S = 76_200.0, 83_400.0  # the two hours in which the clients ask the most
RATE_SHARE = 0.075
RUNS_WILD_S, TAMED_S = 2_700.0, 4_500.0
WILD = 10.0


def build(options: Options) -> Setup:
    """The scenario."""

    def sessions() -> Iterator[SimSession]:
        clients = read_clients(options.traces / TRACE)
        largest = max(clients, key=lambda client: client.rate(BEGIN_S, END_S))

        def factor(client: Client, at_s: float) -> float:
            wild = client is largest and RUNS_WILD_S <= at_s < TAMED_S
            return RATE_SHARE * (WILD if wild else 1.0)

        return simulated(
            drawn(clients, begin_s=BEGIN_S, end_s=END_S, factor=factor, seed=options.seed)
        )

    return Setup(
        name="tenants",
        title=(
            f"ServeGen DeepSeek-R1, two hours at {RATE_SHARE:.1%} of the rate, the largest of 73 "
            "tenants tenfold for half an hour; home 2 H100, near 2 A100, far 2 H100"
        ),
        fleet=FLEET,
        replicas=(
            *replicas_of("home", 2, H100_TP8),
            *replicas_of("near", 2, A100_TP8),
            *replicas_of("far", 2, H100_TP8),
        ),
        world=replace(world(options.seed), max_new_tokens=32_768),
        sessions=sessions,
    )
