"""`python -m benchmarks.routing`: every policy in every scenario, in virtual time.

    python -m benchmarks.routing --traces DIR --out DIR [--scenario NAME ...] [--policies NAME ...]

DIR of the traces is the folder with `azure2023`, `mooncake` and the others. For each scenario it
prints a table and writes NAME.json, NAME.md and NAME.png; at the end, how ours stands (aims.md),
and how it stands against the baselines that SkyLB was measured against (margins.md).
"""

import argparse
import os
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from benchmarks.report import Table
from benchmarks.report_page import Picture, add_option, write_page
from benchmarks.routing import aims, margins, stored, table
from benchmarks.routing.bound import BOUND
from benchmarks.routing.compare import Result, run_all
from benchmarks.routing.picture import draw
from benchmarks.routing.scenarios import SCENARIOS
from benchmarks.routing.setup import Options, Setup
from benchmarks.workloads.traces import TraceError
from router.sim.rivals.registry import POLICIES
from spillway.progress import Progress

EXIT_USAGE = 2
RUNNABLE = (BOUND, *POLICIES)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status."""
    asked = _parser().parse_args(arguments)
    options = Options(asked.traces, asked.seed, asked.quick)
    scenarios = asked.scenario or list(SCENARIOS)
    policies = asked.policies or list(RUNNABLE)
    ready: dict[str, list[Result]] = defaultdict(list)
    shown: list[tuple[Table, Picture]] = []
    try:
        with Progress("runs", len(scenarios) * len(policies)) as progress:
            for result in run_all(scenarios, policies, options, asked.processes):
                done = ready[result.scenario]
                done.append(result)
                progress.advance(said=f"{result.scenario} {result.policy}: {result.cpu_s:.1f} s")
                if len(done) == len(policies):
                    setup = SCENARIOS[result.scenario](options)
                    if asked.keep:
                        kept = stored.read(asked.out / f"{setup.name}.json", setup, options)
                        done += [one for one in kept if one.policy not in policies]
                    done.sort(key=lambda one: list(RUNNABLE).index(one.policy))
                    shown.append(_write(setup, options, done, asked.out))
    except (TraceError, OSError) as error:
        print(f"benchmarks.routing: {error}", file=sys.stderr)
        return EXIT_USAGE
    standings = [found for name in scenarios if (found := aims.standing(name, ready[name]))]
    if standings:
        aims.show(standings)
        text = table.markdown(aims.COLUMNS, aims.rows(standings))
        (asked.out / "aims.md").write_text(text, encoding="utf-8")
    against = [one for name in scenarios for one in margins.margins(name, ready[name])]
    if against:
        margins.show(against)
        (asked.out / "margins.md").write_text(margins.section(against), encoding="utf-8")
    if asked.html is not None:
        tables, pictures = [one for one, _ in shown], [one for _, one in shown]
        write_page(asked.html, "Routing policies, in virtual time", tables, vars(asked), pictures)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.routing", description=(__doc__ or "").split("\n", maxsplit=1)[0]
    )
    parser.add_argument("--traces", type=Path, required=True, help="the folder of the data")
    parser.add_argument("--out", type=Path, required=True, help="where tables and pictures go")
    add_option(parser)
    parser.add_argument("--scenario", nargs="+", choices=list(SCENARIOS), help="absent: all")
    parser.add_argument("--policies", nargs="+", choices=RUNNABLE, help="absent: all")
    parser.add_argument(
        "--keep",
        action="store_true",
        help="take the other policies' results from OUT, where they are of the same setup",
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="a few hundred sessions of each")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    return parser


def _write(
    setup: Setup, options: Options, results: list[Result], out: Path
) -> tuple[Table, Picture]:
    bounds = [one.summary.attainment for one in results if one.policy == BOUND]
    bound = bounds[0] if bounds else None
    shown = table.show(setup, results, bound)
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{setup.name}.md").write_text(table.page(setup, results, bound), encoding="utf-8")
    stored.write(out / f"{setup.name}.json", setup, options, results)
    drawn = out / f"{setup.name}.png"
    draw(setup, results, drawn)
    return shown, Picture(f"{setup.name}: {setup.title}", drawn.read_bytes())


if __name__ == "__main__":
    sys.exit(main())
