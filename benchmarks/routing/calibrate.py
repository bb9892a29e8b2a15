"""How much of its load each scenario's home can serve: what the scenarios' rates are scaled by.

    python -m benchmarks.routing.calibrate --traces DIR [--scenario NAME ...]

A site's capacity is the highest rate at which it alone keeps the objectives of nine turns in ten,
routed by Dynamo's tuned policy, when the scenario's own sessions arrive in their order as a Poisson
process. The peak is the busiest half minute of the scenario: longer than that, nobody waits.
"""

import argparse
import itertools
import os
import random
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

from benchmarks import report
from benchmarks.routing.measures import Measures
from benchmarks.routing.scenarios import SCENARIOS
from benchmarks.routing.setup import Options, Setup
from router.policy.units import ns, seconds
from router.sim.plan import SimSession
from router.sim.record import TurnRecord
from router.sim.rivals.dynamo_kv import DynamoKv
from router.sim.world import World
from spillway.calibration.highest_kept import HighestKept
from spillway.progress import Progress

KEPT = 0.9
LASTS_S = 300.0  # how long a rate has to be served; its second half counts
STEPS = 5
FIRST_RATE = 4.0  # turns a second
SESSIONS_MAX = 10_000
PEAK_S = 30.0


def capacity(setup: Setup, site: str) -> float:
    """Turns per second that a site can serve."""
    sample = list(itertools.islice(setup.sessions(), SESSIONS_MAX))
    turns = sum(len(session.turns) for session in sample) / len(sample)
    search = HighestKept(FIRST_RATE, halvings=STEPS)
    while search.load is not None:
        search.tell(kept=_kept(setup, site, sample, search.load / turns) >= KEPT)
    return search.kept


def _kept(setup: Setup, site: str, sample: Sequence[SimSession], rate: float) -> float:
    rng, at_s = random.Random(1), 0.0
    timed = []
    for session in sample:
        if at_s > LASTS_S:
            break
        at_s += rng.expovariate(rate)
        timed.append(replace(session, at_ns=ns(at_s)))
    measures = Measures(setup.fleet)

    def settled(record: TurnRecord) -> None:
        if LASTS_S / 2 < seconds(record.sent_ns) < LASTS_S:
            measures.add(record)

    world = replace(setup.world, faults=(), partitions=(), lends=())
    replicas = [replica for replica in setup.replicas if replica[1] == site]
    World(world, replicas, [DynamoKv.tuned()], settled).run(timed)
    return measures.summary().attainment


def load(setup: Setup) -> tuple[float, float]:
    """Turns per second: the mean, and in the busiest half minute. Think times are left out."""
    bins: Counter[int] = Counter()
    for session in setup.sessions():
        bins[int(seconds(session.at_ns) / PEAK_S)] += len(session.turns)
    return bins.total() / (PEAK_S * (max(bins) + 1)), max(bins.values()) / PEAK_S


def _row(name: str, traces: Path) -> list[str]:
    setup = SCENARIOS[name](Options(traces))
    sites = list(dict.fromkeys(site for _name, site, _profile in setup.replicas))
    found = {site: capacity(setup, site) for site in sites}
    mean, peak = load(setup)
    return [
        name,
        ", ".join(f"{site} {turns:.1f}" for site, turns in found.items()),
        f"{mean:.1f}",
        f"{peak:.1f}",
        f"{found['home'] / peak:.0%}",
        f"{mean / sum(found.values()):.0%}",
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print capacities beside loads."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--traces", type=Path, required=True, help="the folder of the data")
    parser.add_argument("--scenario", nargs="+", choices=list(SCENARIOS), help="absent: all")
    options = parser.parse_args(arguments)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        names = options.scenario or list(SCENARIOS)
        with Progress("scenarios", len(names)) as progress:
            rows = list(progress.each(pool.map(_row, names, itertools.repeat(options.traces))))
    report.print_table(
        "Turns per second",
        ("scenario", "capacity", "mean", "peak", "home of the peak", "mean of all capacity"),
        rows,
    )


if __name__ == "__main__":
    main()
