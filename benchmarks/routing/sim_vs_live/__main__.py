"""`python -m benchmarks.routing.sim_vs_live`: one workload, live and simulated, in one run.

    python -m benchmarks.routing.sim_vs_live [--engine vllm|fake] [--duration S] [--out FILE]

It starts the local fleet (a small home and a rented site, one replica each) and measures the sites
by single streams and full batches, all sites at once, as they share this machine. Two rehearsals
through the router follow, single turns of other lengths, from which the simulator learns what
things take under load. Then it drives bursts of conversations that share their beginning through
the router, twice in other words, and the same sessions through the simulator.

A simulated percentile may be off by 15 % from that of both live runs together. Where one is off by
more, the exit status is 1; where the live runs themselves differ by more there, nothing can be told
and it is 3: the machine was in use.
"""

import argparse
import asyncio
import itertools
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field

from benchmarks import report
from benchmarks.report_page import add_options, publish
from benchmarks.routing.sim_vs_live.compare import (
    Row,
    Verdict,
    again,
    compare,
    drive,
    simulate,
    workload,
)
from benchmarks.routing.sim_vs_live.rehearsal import fitted, rehearsal
from benchmarks.routing.sim_vs_live.site import LiveSite, Measured, NotMeasuredError, measure
from benchmarks.serving.record import Record
from benchmarks.workloads.prompts import CheckedPrompter, Prompter, built_in_answer
from router.policy.fleet import Fleet, Site
from router.sim.record import TurnRecord
from serving.counting import count_on
from spillway.local.errors import LocalError
from spillway.local.fleet import LocalFleet
from spillway.local.foreground import sigterm_as_interrupt
from spillway.local.plan import FleetPlan
from spillway.local.reporter import reporter_for_terminal
from spillway.local.two_sites import (
    HOME,
    HOME_SLOTS,
    RENTED,
    RENTED_SLOTS,
    built_in_model,
    fake_engine,
    two_sites,
)
from spillway.progress import Progress

EXIT_OFF, EXIT_CANNOT_TELL, EXIT_INTERRUPTED = 1, 3, 130
REHEARSALS = 2  # the first finds how much the sites can be asked for
LIVE_RUNS = 2
REHEARSAL_S = 40.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run both worlds and print both distributions."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.routing.sim_vs_live",
        description=(__doc__ or "").split("\n", maxsplit=1)[0],
    )
    parser.add_argument("--engine", choices=("vllm", "fake"), default="vllm")
    parser.add_argument("--duration", type=float, default=60.0, help="seconds of arrivals")
    parser.add_argument(
        "--rehearsal", type=float, default=REHEARSAL_S, help="seconds of arrivals, twice"
    )
    parser.add_argument("--seed", type=int, default=1)
    add_options(parser)
    options = parser.parse_args(arguments)
    plan = two_sites(fake_engine() if options.engine == "fake" else built_in_model())
    prompter = CheckedPrompter(_counted if options.engine == "fake" else built_in_answer)
    reporter = reporter_for_terminal()
    try:
        with sigterm_as_interrupt(), LocalFleet(plan, reporter) as fleet:
            with reporter:
                fleet.start()
            live = [
                LiveSite(name, fleet.sites[name].replica_addresses()[0], slots)
                for name, slots in ((HOME, HOME_SLOTS), (RENTED, RENTED_SLOTS))
            ]
            both = Both(fleet.address, fleet_of(plan), prompter, options.seed)
            asyncio.run(both.run(live, options.rehearsal, options.duration))
    except (LocalError, NotMeasuredError) as error:
        print(f"benchmarks.routing.sim_vs_live: {error}", file=sys.stderr)
        return EXIT_OFF
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    rows = compare(both.live, both.virtual)
    shown = _show(rows, both)
    figures = {"engine": options.engine, **figures_of(both, rows)}
    publish(options, "Live and simulated", {"sim_vs_live": figures}, [shown])
    verdicts = {row.verdict for row in rows}
    if Verdict.OFF in verdicts:
        return EXIT_OFF
    return EXIT_CANNOT_TELL if Verdict.CANNOT_TELL in verdicts else 0


def fleet_of(plan: FleetPlan) -> Fleet:
    """What the router of a local fleet is told."""
    sites = tuple(Site(site.name, site.kind, price=site.price) for site in plan.sites)
    return Fleet(sites, plan.slo_classes, plan.slo_classes[0].name)


@dataclass(slots=True)
class Both:
    """The two worlds, one after the other."""

    router: str
    fleet: Fleet
    prompter: Prompter
    seed: int
    measured: list[Measured] = field(default_factory=list)
    live: list[list[Record]] = field(default_factory=list)  # of each run
    virtual: list[TurnRecord] = field(default_factory=list)

    async def run(self, sites: Sequence[LiveSite], rehearsal_s: float, duration_s: float) -> None:
        """Measure, rehearse, drive, simulate. Raises NotMeasuredError.

        The sites are measured together: where they share a machine, one is slower while others
        work.
        """
        with Progress("steps", 1 + REHEARSALS + LIVE_RUNS) as progress:
            measured = await asyncio.gather(
                *(measure(one, self.prompter, self.seed) for one in sites)
            )
            self.measured = list(measured)
            progress.advance(said="measured")
            for number in range(REHEARSALS):
                before = rehearsal(self.measured, rehearsal_s, number)
                seen = await drive(self.router, before, self.prompter)
                self.measured = fitted(self.fleet, self.measured, before, seen, self.seed)
                progress.advance(said="rehearsed")
            plan = workload(self.measured, duration_s, self.seed)
            for number in range(LIVE_RUNS):
                self.live.append(await drive(self.router, again(plan, number), self.prompter))
                progress.advance(said="driven")
        self.virtual = simulate(self.fleet, self.measured, plan, self.seed, before=before)


def figures_of(both: Both, rows: Sequence[Row]) -> dict[str, object]:
    """What the command writes: the sites as fitted, and each row with what it says."""
    return {
        "sites": [asdict(one) for one in both.measured],
        "rows": [
            asdict(row)
            | {"error": row.error, "spread": row.spread, "verdict": row.verdict.name.lower()}
            for row in rows
        ],
    }


def _counted(prompt: str, tokens: int) -> str:
    """What the fake engine says."""
    return bytes(itertools.islice(count_on(prompt.encode()), tokens)).decode()


def _show(rows: Sequence[Row], both: Both) -> report.Table:
    return report.print_table(
        "The same sessions, live and simulated",
        ("", *(f"live {run + 1}" for run in range(LIVE_RUNS)), "simulated", "off by", "agrees"),
        [
            (
                row.what,
                *(_ms(one_s) for one_s in row.repeats_s),
                _ms(row.simulated_s),
                f"{100 * row.error:+.0f} %",
                row.verdict.value,
            )
            for row in rows
        ],
        note="; ".join(
            f"{name}: {len(its)} turns, {lost} failed, {away} away from home"
            for name, its, lost, away in _counts(both)
        ),
    )


def _counts(both: Both) -> Iterator[tuple[str, Sequence[object], int, int]]:
    for run, its in enumerate(both.live):
        lost = sum(record.status != "OK" for record in its)
        yield f"live {run + 1}", its, lost, sum(record.site == RENTED for record in its)
    lost = sum(bool(record.refused) for record in both.virtual)
    away = sum(record.site == RENTED for record in both.virtual)
    yield "simulated", both.virtual, lost, away


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms"


if __name__ == "__main__":
    sys.exit(main())
