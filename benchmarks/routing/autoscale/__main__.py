"""What predicted autoscaling costs on the simulated week, against a reactive one.

    python -m benchmarks.routing.autoscale --traces DIR --out FOLDER [--clock C] [--processes N]

Ours (`router.policy.scaling`, the policy that routers run) and Ray Serve's default rule, with every
target of ongoing requests from 2 to 10, scale the same sites under the same router; a fleet that
stays as it is stands beside them. The rival's best target is searched for: the cheapest at which it
keeps as many turns within their objectives as ours does, less 0.05 points. The exit status is 1
where ours does not cost a quarter less.

The week passes C times as fast as it would (30), and one request in 10 C is asked: a slower one has
less noise in its demand and takes longer. All times of the autoscalers are the week's own.
"""

import argparse
import multiprocessing
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path

from benchmarks import report
from benchmarks.report_page import add_option, picture, write_page
from benchmarks.routing import table
from benchmarks.routing.autoscale.picture import draw
from benchmarks.routing.autoscale.run import FIXED, OURS, Outcome, Try, run_one
from benchmarks.routing.autoscale.search import GRID, equal, rivals
from benchmarks.routing.setup import Options
from benchmarks.workloads.traces import TraceError
from spillway.progress import Progress

CLOCK = 30.0
AIM = 0.25
EXIT_MISSED, EXIT_USAGE = 1, 2
COLUMNS = (
    *("autoscaler", "kept", "failed", "TTFT p50", "p95 s", "metered USD", "east", "west"),
    *("home hours", "east hours", "west hours"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status."""
    asked = _parser().parse_args(arguments)
    options = Options(asked.traces, asked.seed, asked.quick)
    work = partial(run_one, options=options, clock=asked.clock)
    # Fresh interpreters: a fork would share what a run before it has left in memory.
    context = multiprocessing.get_context("spawn")
    try:
        with (
            ProcessPoolExecutor(asked.processes, mp_context=context) as pool,
            Progress("weeks simulated") as progress,
        ):

            def run_all(tries: Sequence[Try]) -> Iterator[Outcome]:
                for outcome in pool.map(work, tries):
                    progress.advance(said=f"{outcome.name}: {outcome.cpu_s:.0f} s")
                    yield outcome

            ours, fixed = run_all([Try(OURS), Try(FIXED)])
            tried = rivals(ours, run_all, asked.targets)
    except (TraceError, OSError) as error:
        print(f"benchmarks.routing.autoscale: {error}", file=sys.stderr)
        return EXIT_USAGE
    best = equal(ours, tried)
    outcomes = [ours, fixed, *tried]
    saved = (
        None if best is None or not best.metered_usd else 1 - ours.metered_usd / best.metered_usd
    )
    _write(asked, outcomes, ours, best, saved)
    return 0 if saved is not None and saved >= AIM else EXIT_MISSED


def _write(
    asked: argparse.Namespace,
    outcomes: list[Outcome],
    ours: Outcome,
    best: Outcome | None,
    saved: float | None,
) -> None:
    out, clock = asked.out, asked.clock
    rows = [_row(one) for one in outcomes]
    verdict = "no target of the reactive one keeps as much"
    if best is not None and saved is not None:
        verdict = f"ours costs {saved:.0%} less than {best.name} at equal attainment"
    title = f"Azure's week of 2024 at {clock:g} times its speed, {ours.summary.turns:,} turns"
    shown = report.print_table(title, COLUMNS, rows, note=f"{verdict}; the aim is {AIM:.0%}")
    out.mkdir(parents=True, exist_ok=True)
    page = f"{title}: {verdict}.\n\n{table.markdown(COLUMNS, rows)}"
    (out / "autoscale.md").write_text(page, encoding="utf-8")
    report.write_json(
        out / "autoscale.json",
        {
            "clock": clock,
            "saved": saved,
            "rival": best.name if best else None,
            "outcomes": {one.name: asdict(one) for one in outcomes},
        },
    )
    drawn = [ours, *([best] if best else [])]
    draw(outcomes, drawn, out / "autoscale.png")
    if asked.html is not None:
        pictures = [picture("Cost and replicas", lambda path: draw(outcomes, drawn, path))]
        write_page(asked.html, "Autoscaling", [shown], vars(asked), pictures, [f"{verdict}."])


def _row(one: Outcome) -> list[str]:
    summary = one.summary
    return [
        one.name,
        f"{summary.attainment:.3%}",
        str(summary.failed),
        f"{summary.ttft_s.p50:.2f}",
        f"{summary.ttft_s.p95:.2f}",
        f"{one.metered_usd:,.0f}",
        *(f"{one.usd[site]:,.0f}" for site in ("east", "west")),
        *(f"{one.hours[site]:,.0f}" for site in ("home", "east", "west")),
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.routing.autoscale",
        description=(__doc__ or "").split("\n", maxsplit=1)[0],
    )
    parser.add_argument("--traces", type=Path, required=True, help="the folder of the data")
    parser.add_argument("--out", type=Path, required=True, help="where table and picture go")
    add_option(parser)
    parser.add_argument("--clock", type=float, default=CLOCK, help="how fast the week passes")
    parser.add_argument("--targets", type=float, nargs="+", default=list(GRID))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="the first hours: does it run?")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    return parser


if __name__ == "__main__":
    sys.exit(main())
