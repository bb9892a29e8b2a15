"""Whether simulator and core hold together at the scale that Spillway's story comes from.

    python -m benchmarks.compiled benchmarks.routing.paper_scale [--seconds N] [--out FILE]

An hour at the load of Bing's chat of 2023: 1.9e9 conversations in nine months are 80 a second in
the mean, here tripled as at the peak, five turns each. 1,024 home replicas and 3,072 rented ones
2 ms away, 4,096 in all, are nodes of eight H100 with a 70B model. Sessions are made as they arrive
and records are counted as they come, so memory is what is in flight. The aim is ten minutes of one
core for the hour. A run of some seconds says more than an hour would take: it ends with minutes in
which the last conversations go on, and 4,096 replicas report.
"""

import argparse
import random
import resource
import sys
import time
from collections.abc import Iterator, Sequence

from benchmarks import report
from benchmarks.report_page import add_options, publish
from benchmarks.routing.measures import keeps
from benchmarks.routing.sites import H100_USD, HOME, fleet_of, prices_of, rented, replicas_of
from router.policy.core import RouterCore
from router.policy.units import NS_PER_MS, NS_PER_S
from router.sim.hardware import H100_TP8
from router.sim.plan import Link, Scenario, SimSession, SimTurn
from router.sim.record import TurnRecord
from router.sim.world import World
from spillway.progress import Progress

SESSIONS_PER_S = 3 * 1.9e9 / (9 * 30.4 * 86_400)
TURNS = 5
PROMPT_TOKENS, OUTPUT_TOKENS = 400, 200  # that each turn adds, in the mean
THINK_S = 30.0
HOME_REPLICAS, RENTED_REPLICAS = 1_024, 3_072
FLEET = fleet_of(HOME, rented("super", H100_USD, committed=RENTED_REPLICAS))
AIM_S = 600.0  # of one core, for an hour


def sessions(seconds: float, seed: int) -> Iterator[SimSession]:
    """Conversations for so long, their contexts growing by what was said."""
    rng = random.Random(seed)
    at_s, index = 0.0, 0
    size = H100_TP8.block_tokens
    while (at_s := at_s + rng.expovariate(SESSIONS_PER_S)) < seconds:
        index += 1
        turns, context = [], 0
        for turn in range(TURNS):
            context += 1 + int(rng.expovariate(1 / PROMPT_TOKENS))
            output = 1 + int(rng.expovariate(1 / OUTPUT_TOKENS))
            blocks = tuple(range(index << 12, (index << 12) + (context + output) // size))
            think_ns = int(rng.expovariate(1 / THINK_S) * NS_PER_S) if turn else 0
            turns.append(SimTurn(context, output, think_ns, blocks))
            context += output
        yield SimSession(f"s{index}", int(at_s * NS_PER_S), tuple(turns))


class Tally:
    """What came of the turns, counted as they end."""

    def __init__(self) -> None:
        self.turns = self.kept = self.away = 0

    def add(self, record: TurnRecord) -> None:
        """Take in one turn."""
        self.turns += 1
        self.kept += keeps(record, FLEET)
        self.away += record.site == "super"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, and print what it took."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--seconds", type=float, default=3600.0, help="of arrivals")
    parser.add_argument("--seed", type=int, default=1)
    add_options(parser)
    options = parser.parse_args(arguments)
    tally = Tally()
    scenario = Scenario(
        links={"home": Link(NS_PER_MS // 2), "super": Link(2 * NS_PER_MS)},
        block_tokens=H100_TP8.block_tokens,
        report_interval_ns=10 * NS_PER_S,  # of 4,096 replicas: 410 a second
        prices=prices_of(FLEET),
        seed=options.seed,
    )
    replicas = (
        *replicas_of("home", HOME_REPLICAS, H100_TP8),
        *replicas_of("super", RENTED_REPLICAS, H100_TP8),
    )
    began_s = time.process_time()
    asked = sessions(options.seconds, options.seed)
    with Progress("sessions begun", round(SESSIONS_PER_S * options.seconds)) as progress:
        World(scenario, replicas, [RouterCore(FLEET)], tally.add).run(progress.each(asked))
    cpu_s = time.process_time() - began_s
    figures = {
        "seconds": options.seconds,
        "turns": tally.turns,
        "cpu_s": cpu_s,
        "turns_per_cpu_s": tally.turns / cpu_s,
        "hour_cpu_s": SESSIONS_PER_S * TURNS * 3600 / tally.turns * cpu_s,
        "attainment": tally.kept / tally.turns,
        "overflowed": tally.away / tally.turns,
        "memory_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }
    shown = report.print_table(
        f"{options.seconds:g} s at Bing's scale on {HOME_REPLICAS + RENTED_REPLICAS:,} replicas",
        ("turns", "CPU s", "turns/s", "an hour takes", "in time", "away", "memory"),
        [
            (
                f"{tally.turns:,}",
                f"{cpu_s:.0f}",
                f"{figures['turns_per_cpu_s']:,.0f}",
                f"{figures['hour_cpu_s']:,.0f} s",
                f"{100 * figures['attainment']:.2f} %",
                f"{100 * figures['overflowed']:.1f} %",
                f"{figures['memory_gib']:.1f} GiB",
            )
        ],
        note=f"aim: an hour within {AIM_S:g} s of one core",
    )
    publish(options, "An hour at the paper's scale", {"paper_scale": figures}, [shown])
    return 0


if __name__ == "__main__":
    sys.exit(main())
