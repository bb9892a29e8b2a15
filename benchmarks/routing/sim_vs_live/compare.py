"""The same sessions, driven through the live router and through the simulated one."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.routing.setup import simulated
from benchmarks.routing.sim_vs_live.site import BLOCK_TOKENS, Measured
from benchmarks.serving.driver import Driver
from benchmarks.serving.record import Record
from benchmarks.serving.summary import quantile
from benchmarks.serving.target import connected
from benchmarks.workloads.arrivals import constant, gamma
from benchmarks.workloads.plan import Session
from benchmarks.workloads.prompts import Prompter
from benchmarks.workloads.sessions import Shape, named, sessions
from router.policy.core import RouterCore
from router.policy.fleet import Fleet, SiteKind
from router.policy.units import seconds
from router.sim.plan import Scenario
from router.sim.record import TurnRecord
from router.sim.world import World

SHAPE = Shape(
    turns_mean=2.0,
    turns_max=4,
    think_s_mean=1.0,
    prompt_tokens=48,
    output_tokens=40,
    shared_tokens=96,
)
BURSTINESS = 2.0  # coefficient of variation of the gaps between sessions
LOAD = 0.6  # of what all sites serve at most
TOLERANCE = 0.15
DEADLINE_S = 120.0


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of both worlds, in seconds."""

    what: str
    live_s: float
    simulated_s: float

    @property
    def error(self) -> float:
        """By how much the simulated one is off."""
        return self.simulated_s / self.live_s - 1 if self.live_s else 0.0


def workload(measured: Sequence[Measured], duration_s: float, seed: int) -> list[Session]:
    """Bursts of conversations that begin alike, at a rate that the sites can serve."""
    served = sum(
        one.turns_per_s(SHAPE.prompt_tokens + SHAPE.shared_tokens, SHAPE.output_tokens)
        for one in measured
    )
    rate = LOAD * served / SHAPE.turns_mean
    rng = random.Random(seed)
    arrivals = gamma(constant(rate), BURSTINESS, rng)
    return list(sessions(arrivals, SHAPE, rng=rng, duration_s=duration_s))


async def drive(router: str, plan: Sequence[Session], prompter: Prompter) -> list[Record]:
    """Live: through the router at this address."""
    records: list[Record] = []
    async with connected(router, deadline_s=DEADLINE_S) as target:
        await Driver(target, prompter, records.append).open_loop(plan)
    return records


def simulate(
    fleet: Fleet, measured: Sequence[Measured], plan: Sequence[Session], seed: int
) -> list[TurnRecord]:
    """In virtual time: through the same core, on the measured sites."""
    records: list[TurnRecord] = []
    rented = (site for site in fleet.sites if site.kind is SiteKind.RENTED)
    scenario = Scenario(
        links={one.site.name: one.link for one in measured},
        block_tokens=BLOCK_TOKENS,
        prices={site.name: site.price for site in rented},
        seed=seed,
    )
    replicas = [(f"{one.site.name}/0", one.site.name, one.profile) for one in measured]
    world = World(scenario, replicas, [RouterCore(fleet)], records.append)
    world.run(simulated(named(plan, BLOCK_TOKENS, SHAPE.shared_tokens)))
    return records


def compare(live: Sequence[Record], virtual: Sequence[TurnRecord]) -> list[Row]:
    """Time to first token and of the whole turn, in the middle and at the tail."""
    pairs = (
        (
            "TTFT",
            [r.ttft_s for r in live if r.ttft_s is not None and r.status == "OK"],
            [seconds(r.ttft_ns) for r in virtual if not r.refused],
        ),
        (
            "end to end",
            [r.end_to_end_s for r in live if r.status == "OK"],
            [seconds(r.end_to_end_ns) for r in virtual if not r.refused],
        ),
    )
    return [
        Row(f"{what} p{round(100 * share)}", quantile(seen, share), quantile(told, share))
        for what, seen, told in pairs
        for share in (0.5, 0.95)
    ]


def agrees(rows: Sequence[Row]) -> bool:
    """Whether every figure is within the tolerance."""
    return all(abs(row.error) <= TOLERANCE for row in rows)
