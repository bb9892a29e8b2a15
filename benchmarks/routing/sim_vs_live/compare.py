"""The same sessions, driven through the live router and through the simulated one."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from operator import attrgetter

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
_APART_S = 30.0  # between what is driven one after the other, in virtual time


class Verdict(Enum):
    """What a row says."""

    AGREES = "yes"
    OFF = "NO"
    CANNOT_TELL = "live runs differ"


@dataclass(frozen=True, slots=True)
class OneTurn:
    """What a client saw of an answer, in either world."""

    site: str
    ttft_s: float
    end_to_end_s: float
    token_s: float | None  # each after the first, in the mean; None where there is one


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of both worlds, in seconds."""

    what: str
    live_s: float  # of all live runs together
    repeats_s: tuple[float, ...]  # of each
    simulated_s: float

    @property
    def error(self) -> float:
        """By how much the simulated one is off."""
        return self.simulated_s / self.live_s - 1 if self.live_s else 0.0

    @property
    def spread(self) -> float:
        """By how much two live runs differ: nobody can be asked to be nearer than that."""
        return max(self.repeats_s) / min(self.repeats_s) - 1 if min(self.repeats_s) else 0.0

    @property
    def verdict(self) -> Verdict:
        """Whether the simulator tells the truth of it."""
        if abs(self.error) <= TOLERANCE:
            return Verdict.AGREES
        return Verdict.CANNOT_TELL if self.spread > TOLERANCE else Verdict.OFF


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


def again(plan: Sequence[Session], run: int) -> list[Session]:
    """The same sessions in other words: nothing is cached of what an earlier run said."""
    return [
        replace(
            session,
            id=f"{session.id}-{run}",
            turns=tuple(replace(turn, blocks=(run,)) for turn in session.turns),
        )
        for session in plan
    ]


async def drive(router: str, plan: Sequence[Session], prompter: Prompter) -> list[Record]:
    """Live: through the router at this address."""
    records: list[Record] = []
    async with connected(router, deadline_s=DEADLINE_S) as target:
        await Driver(target, prompter, records.append).open_loop(plan)
    return records


def simulate(
    fleet: Fleet,
    measured: Sequence[Measured],
    plan: Sequence[Session],
    seed: int,
    *,
    before: Sequence[Session] = (),
) -> list[TurnRecord]:
    """In virtual time: through the same core, on the measured sites.

    The router has learned from what was driven `before`, as the live one has.
    """
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
    begins_s = before[-1].at_s + _APART_S if before else 0.0
    later = [replace(session, at_s=begins_s + session.at_s) for session in plan]
    world.run(simulated(named([*before, *later], BLOCK_TOKENS, SHAPE.shared_tokens)))
    asked = {session.id for session in plan}
    return [record for record in records if record.session in asked]


def seen(records: Sequence[Record]) -> list[OneTurn]:
    """Answers of the live world; what was refused or failed is none."""
    return [
        OneTurn(r.site, r.ttft_s, r.end_to_end_s, r.time_per_output_token_s)
        for r in records
        if r.status == "OK" and r.ttft_s is not None
    ]


def told(records: Sequence[TurnRecord]) -> list[OneTurn]:
    """Answers of the simulated world."""
    turns = []
    for record in records:
        if not record.refused:
            ttft_s, end_to_end_s = seconds(record.ttft_ns), seconds(record.end_to_end_ns)
            rest = record.output_tokens - 1
            token_s = (end_to_end_s - ttft_s) / rest if rest else None
            turns.append(OneTurn(record.site, ttft_s, end_to_end_s, token_s))
    return turns


def compare(live: Sequence[Sequence[Record]], virtual: Sequence[TurnRecord]) -> list[Row]:
    """Time to first token and of the whole turn, in the middle and at the tail.

    `live`: the records of each live run.
    """
    runs, simulation = [seen(records) for records in live], told(virtual)
    figures = (("TTFT", attrgetter("ttft_s")), ("end to end", attrgetter("end_to_end_s")))
    return [
        Row(
            f"{what} p{round(100 * share)}",
            quantile([figure(turn) for run in runs for turn in run], share),
            tuple(quantile([figure(turn) for turn in run], share) for run in runs),
            quantile([figure(turn) for turn in simulation], share),
        )
        for what, figure in figures
        for share in (0.5, 0.95)
    ]
