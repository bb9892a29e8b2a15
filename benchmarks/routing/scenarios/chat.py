"""`sessions`: chats of many turns through a small day, and home dies for ten minutes.

A conversation has five turns in the mean, at most twenty; a turn adds about 600 tokens of question
and 400 of answer to the context, think times are exponential with 20 s in the mean, and all begin
with the same 1,024 tokens. The rate of new conversations is a sine wave between a third and all of
its peak, of which home alone serves 70 %. Home dies while the load falls, when the rented site can
take it, and is back ten minutes later with cold caches.
"""

import math
import random
from collections.abc import Iterator

from benchmarks.routing.setup import Options, Setup, simulated
from benchmarks.routing.sites import H100_USD, HOME, fleet_of, prices_of, rented, replicas_of
from benchmarks.workloads.arrivals import poisson
from benchmarks.workloads.sessions import Shape, named
from benchmarks.workloads.sessions import sessions as drawn
from router.policy.units import NS_PER_MS, ns
from router.sim.hardware import H100_TP8
from router.sim.plan import Link, ReplicaFault, Scenario, SimSession

PEAK_PER_S = 3.4  # new conversations
LEAST_SHARE = 1 / 3
DURATION_S = 2_400.0
DIES_S, DOWN_S = 1_750.0, 600.0
EACH = 4
SHAPE = Shape(
    turns_mean=5,
    turns_max=20,
    think_s_mean=20,
    prompt_tokens=600,
    output_tokens=400,
    shared_tokens=1_024,
)

FLEET = fleet_of(HOME, rented("east", H100_USD))


def rate(at_s: float) -> float:
    """New conversations per second: lowest at the ends, highest in the middle."""
    height = (1 - math.cos(2 * math.pi * at_s / DURATION_S)) / 2
    return PEAK_PER_S * (LEAST_SHARE + (1 - LEAST_SHARE) * height)


def build(options: Options) -> Setup:
    """The scenario."""

    def sessions() -> Iterator[SimSession]:
        rng = random.Random(options.seed)
        arrivals = poisson(rate, random.Random(f"{options.seed} arrivals"))
        plan = drawn(arrivals, SHAPE, rng=rng, duration_s=DURATION_S)
        return simulated(named(plan, H100_TP8.block_tokens, SHAPE.shared_tokens))

    home = replicas_of("home", EACH, H100_TP8)
    return Setup(
        name="sessions",
        title=f"five-turn chat; home {EACH} H100, dead for {DOWN_S / 60:g} min, east {EACH} H100",
        fleet=FLEET,
        replicas=(*home, *replicas_of("east", EACH, H100_TP8)),
        world=Scenario(
            links={
                "home": Link(NS_PER_MS // 2),
                "east": Link(20 * NS_PER_MS, tail_ns=NS_PER_MS, bytes_per_s=100_000_000),
            },
            block_tokens=H100_TP8.block_tokens,
            faults=tuple(ReplicaFault(name, ns(DIES_S), ns(DOWN_S)) for name, *_ in home),
            prices=prices_of(FLEET),
            seed=options.seed,
        ),
        sessions=sessions,
    )
