"""Whether a trace of any length runs in the memory of what is in flight.

    python -m benchmarks.compiled benchmarks.routing.long_run [--requests N] [--policy NAME]
        [--records FILE] [--out FILE]

Ten million requests, made as they arrive and forgotten as their records are written, on 16
replicas: conversations of four turns on the average, with growing contexts. Memory is looked at ten
times. After half a million requests every table has reached its bound; the exit status is 1 where
memory has grown by more than an eighth since the first look after that.
"""

import argparse
import random
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from benchmarks import report
from benchmarks.report_page import add_options, publish
from benchmarks.routing.sites import HOME, fleet_of
from router.policy.units import NS_PER_MS, NS_PER_S, seconds
from router.sim.hardware import H100_TP8
from router.sim.plan import Link, Scenario, SimSession, SimTurn
from router.sim.record import TurnRecord
from router.sim.rivals.registry import OURS, POLICIES
from router.sim.world import World
from spillway.progress import Progress

REQUESTS = 10_000_000
REPLICAS = 16
SESSIONS_PER_S, TURNS_MEAN, THINK_S = 12.0, 4, 10.0
PROMPT_TOKENS, OUTPUT_TOKENS = 300, 100  # that each turn adds, in the mean
LOOKS = 10
SETTLED = 500_000  # requests after which memory must not grow
GROWTH_MAX = 1.125
EXIT_GREW = 1
FLEET = fleet_of(HOME)


def sessions(requests: int, seed: int) -> Iterator[SimSession]:
    """Conversations until so many turns are asked."""
    rng = random.Random(seed)
    size, at_s, index = H100_TP8.block_tokens, 0.0, 0
    while requests > 0:
        index += 1
        at_s += rng.expovariate(SESSIONS_PER_S)
        turns, context = [], 0
        for turn in range(min(requests, 1 + int(rng.expovariate(1 / (TURNS_MEAN - 0.5))))):
            context += 1 + int(rng.expovariate(1 / PROMPT_TOKENS))
            output = 1 + int(rng.expovariate(1 / OUTPUT_TOKENS))
            blocks = tuple(range(index << 12, (index << 12) + (context + output) // size))
            think_ns = int(rng.expovariate(1 / THINK_S) * NS_PER_S) if turn else 0
            turns.append(SimTurn(context, output, think_ns, blocks))
            context += output
        requests -= len(turns)
        yield SimSession(f"s{index}", int(at_s * NS_PER_S), tuple(turns))


class Sieve:
    """Writes records as they come, and looks at memory ten times."""

    def __init__(self, out: TextIO, requests: int) -> None:
        self._out = out
        self._every = max(1, requests // LOOKS)
        self.turns = self.failed = 0
        self.memory_mib: list[float] = []

    def add(self, record: TurnRecord) -> None:
        """One turn is over."""
        self.turns += 1
        self.failed += bool(record.refused)
        self._out.write(
            f"{record.session},{record.turn},{seconds(record.sent_ns):.3f},{record.endpoint},"
            f"{seconds(record.ttft_ns):.6f},{seconds(record.end_to_end_ns):.6f}\n"
        )
        if self.turns % self._every == 0:
            self.memory_mib.append(resident_mib())

    @property
    def growth(self) -> float | None:
        """The most memory against that when it had settled; None for a run that is too short."""
        settled = self.memory_mib[-(-SETTLED // self._every) - 1 :]
        return max(settled) / settled[0] if len(settled) > 1 else None


def resident_mib() -> float:
    """The memory of this process now, not at its most."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 2**20


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, and print what it took."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--requests", type=int, default=REQUESTS)
    parser.add_argument("--policy", choices=list(POLICIES), default=OURS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--records", type=Path, default=Path("/dev/null"), help="a line for each")
    add_options(parser)
    options = parser.parse_args(arguments)
    if options.requests < LOOKS:
        parser.error(f"--requests: at least {LOOKS}")
    scenario = Scenario(
        links={"home": Link(NS_PER_MS // 2)},
        block_tokens=H100_TP8.block_tokens,
        seed=options.seed,
    )
    replicas = [(f"home/{index}", "home", H100_TP8) for index in range(REPLICAS)]
    policy = POLICIES[options.policy](FLEET)
    began_s = time.process_time()
    asked = sessions(options.requests, options.seed)
    with (
        options.records.open("w", encoding="utf-8") as out,
        Progress("sessions begun") as progress,
    ):
        sieve = Sieve(out, options.requests)
        World(scenario, replicas, [policy], sieve.add).run(progress.each(asked))
    cpu_s = time.process_time() - began_s
    shown = _show(options.policy, sieve, cpu_s)
    figures = {
        "policy": options.policy,
        "turns": sieve.turns,
        "failed": sieve.failed,
        "cpu_s": cpu_s,
        "memory_mib": sieve.memory_mib,
    }
    publish(options, "A long run of the simulator", {"long_run": figures}, [shown])
    return EXIT_GREW if (sieve.growth or 0.0) > GROWTH_MAX else 0


def _show(policy: str, sieve: Sieve, cpu_s: float) -> report.Table:
    growth = sieve.growth
    return report.print_table(
        f"{sieve.turns:,} requests, streamed in and out",
        ("policy", "CPU s", "requests/s", "failed", "memory at each tenth, MiB", "growth"),
        [
            (
                policy,
                f"{cpu_s:.0f}",
                f"{sieve.turns / cpu_s:,.0f}",
                f"{sieve.failed:,}",
                " ".join(f"{one:.0f}" for one in sieve.memory_mib),
                "too short" if growth is None else f"{100 * (growth - 1):+.1f} %",
            )
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
