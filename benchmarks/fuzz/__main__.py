"""`python -m benchmarks.fuzz`: every target for so many inputs, or so long, and what was found."""

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from benchmarks.fuzz.running import Outcome, keep
from benchmarks.fuzz.targets import TARGETS, run_job


def main(arguments: list[str]) -> int:
    """1 where something was found."""
    options = _parser().parse_args(arguments)
    names = options.targets or list(TARGETS)
    jobs = [
        (name, options.inputs, options.seconds, options.seed + turn)
        for turn in range(options.turns)
        for name in names
    ]
    print(f"{'target':18} {'inputs':>10} {'inputs/s':>9} {'slowest ms':>10} {'grown MiB':>9}")
    total, found = 0, 0
    # A process for each: what one target leaves in memory is not another's growth.
    with ProcessPoolExecutor(
        options.processes, mp_context=get_context("spawn"), max_tasks_per_child=1
    ) as pool:
        for outcome in pool.map(run_job, jobs):
            total += outcome.inputs
            _tell(outcome)
            if outcome.problem:
                found += 1
                print(f"  FOUND {outcome.problem}; its input is in {keep(outcome, options.finds)}")
    print(f"{'all':18} {total:10}; found: {found}")
    return 1 if found else 0


def _tell(outcome: Outcome) -> None:
    rate = outcome.inputs / max(outcome.seconds, 1e-9)
    print(
        f"{outcome.target:18} {outcome.inputs:10} {rate:9.0f} {1e3 * outcome.slowest_s:10.1f}"
        f" {outcome.grown_mib:9.1f}",
        flush=True,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--inputs", type=int, default=100_000, help="of each target, at most")
    parser.add_argument("--seconds", type=float, default=1e9, help="for each target, at most")
    parser.add_argument("--turns", type=int, default=1, help="over all targets, each with a seed")
    parser.add_argument("--seed", type=int, default=0, help="of the first turn")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--finds", type=Path, default=Path("fuzz-finds"), help="folder for finds")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
