"""What a scenario is: a fleet, a load and a world, the same for every policy tried in it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.workloads.plan import Session
from router.policy.fleet import Fleet
from router.policy.units import ns
from router.sim.plan import Scenario, SimSession, SimTurn
from router.sim.profile import Profile

REPLICA = tuple[str, str, Profile]
"""Name, site, hardware."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says to every scenario."""

    traces: Path
    seed: int = 1
    quick: bool = False  # the first few hundred sessions only: does it run?


@dataclass(frozen=True, slots=True)
class Setup:
    """One scenario, ready to run. `sessions` gives the load afresh for every run."""

    name: str
    title: str
    fleet: Fleet
    replicas: tuple[REPLICA, ...]
    world: Scenario
    sessions: Callable[[], Iterator[SimSession]]
    routers: int = 1


def simulated(sessions: Iterable[Session]) -> Iterator[SimSession]:
    """Planned sessions as the simulator takes them."""
    for session in sessions:
        yield SimSession(
            id=session.id,
            at_ns=ns(session.at_s),
            turns=tuple(
                SimTurn(turn.prompt_tokens, turn.output_tokens, ns(turn.think_s), turn.blocks)
                for turn in session.turns
            ),
            slo=session.slo,
            tenant=session.tenant,
        )
