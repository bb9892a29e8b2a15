"""How fast the simulator is, beside Dynamo's compiled offline replay on the same trace.

    python -m benchmarks.routing.speed --traces DIR [--dynamo PYTHON] [--repeats N] [--out FILE]

Mooncake's conversations on 16 workers of 1,048,576 tokens in blocks of 512, all by the mocker's
rules: once as recorded, and once so fast that a worker has the load of Dynamo's published figures.
Ours runs twice, as it is and compiled (benchmarks.compiled). Each replay is a process of its own on
one core, one after the other in turns; figures are medians, in requests per second of CPU time.

PYTHON is that of an environment with ai_dynamo_runtime 1.6.1. Without it, Dynamo's rows are the
figures published for its reference machine, which this one need not be like.
"""

import argparse
import gzip
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks import report
from benchmarks.report_page import add_options, publish
from benchmarks.routing.mooncake import CONVERSATION
from router.sim.rivals.registry import OURS
from spillway.progress import Progress

WORKERS, BLOCK_TOKENS = 16, 512
SPEEDS = (9.834, 1.0)  # published with 8 workers at 4.917
PUBLISHED = {"round_robin": 7_682, "kv_router": 5_991}
AIMS = {"round-robin": 10_000, OURS: 6_000}
EXIT_FAILED = 1


@dataclass(frozen=True, slots=True)
class Contender:
    """What replays the trace, and with which policy."""

    name: str
    policy: str
    command: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """The medians of one contender at one speed."""

    name: str
    policy: str
    speed: float
    requests_per_s: float
    ttft_mean_ms: float
    ttft_p95_ms: float
    hit_share: float


def contenders(dynamo: Path | None) -> list[Contender]:
    """Everybody who can run here."""
    ours = (sys.executable, "-m")
    worker = "benchmarks.routing.speed_worker"
    found = [
        Contender(name, policy, (*ours, *how, worker))
        for policy in AIMS
        for name, how in (("spillway", ()), ("spillway, compiled", ("benchmarks.compiled",)))
    ]
    if dynamo is not None:
        script = str(Path(__file__).with_name("dynamo_replay.py"))
        found += [Contender("Dynamo", router, (str(dynamo), script)) for router in PUBLISHED]
    return found


def measure(dynamo: Path | None, trace: Path, repeats: int) -> list[Row]:
    """Replay in turns, so that a slow spell of the machine meets everybody."""
    rows = []
    for speed in SPEEDS:
        runs: dict[Contender, list[dict[str, float]]] = {one: [] for one in contenders(dynamo)}
        with Progress(f"replays, {speed:g} times as fast", repeats * len(runs)) as progress:
            for _ in range(repeats):
                for one, done in runs.items():
                    done.append(_replay(one, trace, speed))
                    progress.advance(said=f"{one.name} {one.policy}")
        rows += [_row(one, speed, done) for one, done in runs.items()]
    return rows


def _replay(one: Contender, trace: Path, speed: float) -> dict[str, float]:
    arguments = (str(trace), str(WORKERS), str(BLOCK_TOKENS), str(speed), one.policy)
    done = subprocess.run([*one.command, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{one.name} with {one.policy} failed: {done.stderr.strip()[-500:]}")
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def _row(one: Contender, speed: float, runs: Sequence[dict[str, float]]) -> Row:
    last = runs[-1]
    return Row(
        one.name,
        one.policy,
        speed,
        statistics.median(run["requests"] / run["seconds"] for run in runs),
        last["ttft_mean_ms"],
        last["ttft_p95_ms"],
        last["hit_share"],
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, write the figures; 1 if something did not run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--traces", type=Path, required=True, help="the folder of the data")
    parser.add_argument("--dynamo", type=Path, help="the Python that has ai_dynamo_runtime")
    parser.add_argument("--repeats", type=int, default=5)
    add_options(parser)
    options = parser.parse_args(arguments)
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as plain:
        try:  # Dynamo reads no compressed trace
            plain.write(gzip.decompress((options.traces / CONVERSATION).read_bytes()))
            plain.flush()
            rows = measure(options.dynamo, Path(plain.name), options.repeats)
        except (OSError, RuntimeError) as error:
            print(f"benchmarks.routing.speed: {error}", file=sys.stderr)
            return EXIT_FAILED
    shown = _print(rows, published=options.dynamo is None)
    figures = {"rows": [asdict(row) for row in rows], "aims": AIMS, "published": PUBLISHED}
    publish(options, "The simulator's speed", {"simulator_speed": figures}, [shown])
    return 0


def _print(rows: Sequence[Row], *, published: bool) -> report.Table:
    lines = [
        (
            row.name,
            row.policy,
            f"{row.speed:g}",
            f"{row.requests_per_s:,.0f}",
            f"{row.ttft_mean_ms:.1f}",
            f"{row.ttft_p95_ms:.1f}",
            f"{100 * row.hit_share:.1f} %",
        )
        for row in rows
    ]
    if published:
        lines += [
            ("Dynamo, published", router, "", f"{count:,}", "", "", "")
            for router, count in PUBLISHED.items()
        ]
    aims = ", ".join(f"{count:,} with {policy}" for policy, count in AIMS.items())
    return report.print_table(
        f"Simulated requests per second: {WORKERS} workers, blocks of {BLOCK_TOKENS}",
        ("simulator", "policy", "trace faster by", "requests/s", "TTFT mean ms", "p95 ms", "hits"),
        lines,
        note=f"aims: {aims}",
    )


if __name__ == "__main__":
    sys.exit(main())
