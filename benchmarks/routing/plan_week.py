"""How long an answer of the planner takes for a week's trace.

    python -m benchmarks.routing.plan_week --traces DIR [--share S] [--processes N] [--out FILE]

The week is shaped by Azure's published rates and lengths of 2024, code and conversations, of which
S (a fiftieth: 880,000 turns) are asked; a home that lends a third of its replicas each night, and
two rented sites. It is what `spillway plan` does with a trace, from the first row to the plan. The
exit status is 1 where it took more than five minutes.
"""

import argparse
import os
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import report
from benchmarks.report_page import add_options, publish
from benchmarks.routing.setup import simulated
from benchmarks.routing.sites import A100_USD, H100_USD, HOME, fleet_of, rented
from benchmarks.workloads.azure_week import read_services
from benchmarks.workloads.azure_week import sessions as drawn
from benchmarks.workloads.traces import TraceError
from router.policy.lending import Lending, LendWindow
from router.sim.plan import SimSession
from spillway.planning import outcome
from spillway.planning.demand import sample
from spillway.planning.offer import Offer
from spillway.planning.search import Planner
from spillway.progress import Progress

SHARE = 1 / 50
ATTAINMENT = 0.99
AIM_S = 300.0
EXIT_LATE, EXIT_USAGE = 1, 2
BEGINS_MINUTE = 6 * 24 * 60  # the shaped week begins on a Sunday
NIGHTS = Lending(6, (LendWindow(2, 22 * 60, 6 * 60),))
SITES = (replace(HOME, lending=NIGHTS), rented("near", A100_USD), rented("far", H100_USD))


@dataclass(frozen=True, slots=True)
class Week:
    """The week's turns; gone through again, the same ones."""

    folder: Path
    share: float

    def __iter__(self) -> Iterator[SimSession]:
        services = read_services(self.folder)
        return simulated(drawn(services, clock=1.0, share=self.share, seed=1))


def main(arguments: Sequence[str] | None = None) -> int:
    """Plan, print the answer and what it took."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--traces", type=Path, required=True, help="the folder of the data")
    parser.add_argument("--share", type=float, default=SHARE, help="of the real week's turns")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    add_options(parser)
    options = parser.parse_args(arguments)
    offers = (
        Offer(SITES[0], "h100", 6, 0.5, 0.6 * H100_USD),
        Offer(SITES[1], "a100", 12, 2.0, 0.6 * A100_USD),
        Offer(SITES[2], "h100", 6, 35.0, 0.6 * H100_USD),
    )
    began_s = time.monotonic()
    try:
        week = Week(options.traces / "azure2024_digitised", options.share)
        demand = sample(week, BEGINS_MINUTE, (NIGHTS,))
    except (TraceError, OSError) as error:
        print(f"benchmarks.routing.plan_week: {error}", file=sys.stderr)
        return EXIT_USAGE
    read_s = time.monotonic() - began_s
    with Progress("plans tried") as progress:

        def tried(what: str) -> None:
            progress.advance(said=what)

        planner = Planner(fleet_of(*SITES), offers, demand, tried, processes=options.processes)
        plan = planner.plan(ATTAINMENT)
    took_s = time.monotonic() - began_s
    memory_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    turns = sum(spell.turns for spell in demand.spells)
    shown = report.print_table(
        f"A week of {demand.sessions:,} turns: {outcome.sentence(plan, offers)}",
        outcome.COLUMNS,
        outcome.rows(plan),
        note=f"{plan.trials} trials of {turns:,} turns in {took_s:.0f} s, of which {read_s:.0f} s "
        f"went into reading; {options.processes} processes, {memory_gib:.1f} GiB; "
        f"aim: {AIM_S:g} s",
    )
    figures = {
        "turns": demand.sessions,
        "simulated_turns": turns,
        "took_s": took_s,
        "read_s": read_s,
        "memory_gib": memory_gib,
        "plan": outcome.as_json(plan),
    }
    publish(options, "The planner on a week", {"plan_week": figures}, [shown])
    return EXIT_LATE if took_s > AIM_S else 0


if __name__ == "__main__":
    sys.exit(main())
