"""Dynamo's published mocker figures, reproduced by our simulator with the mocker's rules.

    python -m benchmarks.routing.mocker --traces DIR [--dynamo PYTHON] [--seeds N] [--out FILE]

Eight workers of 1,048,576 tokens in blocks of 64, Mooncake's traces sped up, with round robin and
with the cost of Dynamo's KV router, which breaks ties at random. The published figures are those of
ai_dynamo_runtime 1.6.1 (mean and p95 of the time to first token, share of input tokens found
cached), of one run each. Round robin must give them within 0.5 %. The KV router is run with several
seeds, and a published figure must be as near to their mean as a further seed's would be: within
three standard deviations.

With the PYTHON of an environment that has ai_dynamo_runtime 1.6.1, Dynamo runs as often with its KV
router, and ours follows its choices: see benchmarks.routing.followed. Every choice, every first
token and every hit must agree. The exit status is 1 where anything does not.
"""

import argparse
import gzip
import itertools
import multiprocessing
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks import report
from benchmarks.report_page import add_options, publish
from benchmarks.routing.followed import DynamoError, Followed, follow, record
from benchmarks.routing.mocked import Figures, figures_of, replay
from benchmarks.routing.mooncake import CONVERSATION, SYNTHETIC, replayed
from benchmarks.workloads.traces import TraceError
from router.sim.rivals.dynamo_kv import DynamoKv
from router.sim.rivals.simple import RoundRobin
from spillway.progress import Progress

WORKERS, BLOCK_TOKENS = 8, 64
TOLERANCE = 0.005
SEEDS = 10
DEVIATIONS = 3.0  # of one run from the mean of others, which 99 of 100 keep
EXIT_MISSED, EXIT_USAGE = 1, 2


@dataclass(frozen=True, slots=True)
class Published:
    """What Dynamo's own replay of a trace gave."""

    trace: str
    speed: float
    router: str
    ttft_mean_ms: float
    ttft_p95_ms: float
    hit_percent: float  # with one decimal: known to within 0.05

    @property
    def title(self) -> str:
        """The trace's name, and how it was replayed."""
        name = self.trace.split("/")[1].split("_", maxsplit=1)[0]
        return f"{name}, {self.speed:g} times as fast, {self.router}"


ROUND_ROBIN, KV = "round robin", "KV router"
PUBLISHED = (
    Published(CONVERSATION, 4.917, ROUND_ROBIN, 655, 2315, 8.1),
    Published(CONVERSATION, 6.147, ROUND_ROBIN, 5180, 16419, 7.9),
    Published(SYNTHETIC, 6.026, ROUND_ROBIN, 4008, 15852, 9.7),
    Published(CONVERSATION, 4.917, KV, 455, 1179, 17.0),
    Published(CONVERSATION, 6.147, KV, 555, 1410, 18.1),
    Published(SYNTHETIC, 6.026, KV, 391, 1150, 31.2),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One published figure, and ours over all seeds."""

    what: str
    published: float
    ours: float  # the mean
    deviation: float  # the standard deviation of a run; 0 where nothing is drawn
    slack: float  # what the published digits leave open

    @property
    def agrees(self) -> bool:
        """Whether the published figure could be ours."""
        allowed = DEVIATIONS * self.deviation or TOLERANCE * self.published
        return abs(self.ours - self.published) <= allowed + self.slack


def run(published: Published, traces: Path, seed: int) -> Figures:
    """Our replay of what was published."""
    is_kv = published.router == KV
    records = replay(
        replayed(traces / published.trace, BLOCK_TOKENS, published.speed),
        WORKERS,
        BLOCK_TOKENS,
        DynamoKv(hears_steps=True) if is_kv else RoundRobin(),
        tells_steps=is_kv,
        seed=seed,
    )
    return figures_of(records)


def run_beside(published: Published, traces: Path, dynamo: Path) -> Followed:
    """A run of Dynamo's of what was published, and ours with its choices."""
    trace = traces / published.trace
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as plain:  # it reads no compressed trace
        plain.write(gzip.decompress(trace.read_bytes()))
        plain.flush()
        found = record(dynamo, Path(plain.name), WORKERS, BLOCK_TOKENS, published.speed)
    sessions = list(replayed(trace, BLOCK_TOKENS, published.speed))
    return follow(*found, sessions, WORKERS, BLOCK_TOKENS)


def rows(published: Published, found: Sequence[Figures]) -> Iterator[Row]:
    """The three figures of a replay."""
    kinds: tuple[tuple[str, float, float, Callable[[Figures], float]], ...] = (
        ("TTFT mean, ms", published.ttft_mean_ms, 0.5, lambda one: one.ttft_mean_ms),
        ("TTFT p95, ms", published.ttft_p95_ms, 0.5, lambda one: one.ttft_p95_ms),
        ("hits, %", published.hit_percent, 0.05, lambda one: 100 * one.hit_share),
    )
    for what, value, slack, figure in kinds:
        ours = [figure(one) for one in found]
        deviation = statistics.stdev(ours) if len(ours) > 1 else 0.0
        yield Row(what, value, statistics.mean(ours), deviation, slack)


def main(arguments: Sequence[str] | None = None) -> int:
    """Replay, print the table, write the figures; 1 if one is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--traces", type=Path, required=True, help="the folder of the data")
    parser.add_argument("--dynamo", type=Path, help="the Python that has ai_dynamo_runtime")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="of the KV router, at least 2")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    add_options(parser)
    options = parser.parse_args(arguments)
    asked = [
        (published, seed)
        for published in PUBLISHED
        for seed in range(max(2, options.seeds) if published.router == KV else 1)
    ]
    context = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(options.processes, mp_context=context) as pool:
            runs, seeds = zip(*asked, strict=True)
            with Progress("replays", len(runs)) as progress:
                replays = pool.map(run, runs, itertools.repeat(options.traces), seeds)
                figures = list(progress.each(replays))
            beside = [of for of in runs if of.router == KV] if options.dynamo else []
            follows = pool.map(
                run_beside,
                beside,
                itertools.repeat(options.traces),
                itertools.repeat(options.dynamo),
            )
            followed = list(zip(beside, follows, strict=True))
    except (TraceError, DynamoError, OSError) as error:
        print(f"benchmarks.routing.mocker: {error}", file=sys.stderr)
        return EXIT_USAGE
    done = {
        published: list(
            rows(
                published, [f for (of, _), f in zip(asked, figures, strict=True) if of is published]
            )
        )
        for published in PUBLISHED
    }
    shown = [_show(done), *([_show_followed(followed)] if followed else [])]
    found = [
        {"replay": asdict(published), "rows": [asdict(row) for row in its]}
        for published, its in done.items()
    ]
    runs_of = [{"replay": asdict(of), "followed": asdict(its)} for of, its in followed]
    publish(options, "Dynamo's mocker", {"mocker": found, "followed": runs_of}, shown)
    agree = [row.agrees for its in done.values() for row in its]
    agree += [its.agrees for _, its in followed]
    return 0 if all(agree) else EXIT_MISSED


def _show(done: dict[Published, list[Row]]) -> report.Table:
    return report.print_table(
        f"The mocker's rules, {WORKERS} workers",
        ("replay", "figure", "published", "ours", "agrees"),
        [
            (
                published.title,
                row.what,
                f"{row.published:g}",
                f"{row.ours:.1f}" + (f" ± {row.deviation:.1f}" if row.deviation else ""),
                "yes" if row.agrees else "NO",
            )
            for published, its in done.items()
            for row in its
        ],
    )


def _show_followed(followed: Sequence[tuple[Published, Followed]]) -> report.Table:
    return report.print_table(
        "Runs of Dynamo here, and ours with the same choices",
        ("replay", "TTFT mean, ms", "p95, ms", "hits", "requests", "own choice", "time", "hits"),
        [
            (
                of.title,
                f"{its.figures.ttft_mean_ms:.1f}",
                f"{its.figures.ttft_p95_ms:.1f}",
                f"{100 * its.figures.hit_share:.1f} %",
                f"{its.requests:,}",
                f"{its.choices:,}",
                f"{its.times:,}",
                f"{its.hits:,}",
            )
            for of, its in followed
        ],
        note="the last three count requests in which both agree",
    )


if __name__ == "__main__":
    sys.exit(main())
