"""Dynamo's published mocker figures, reproduced by our simulator with the mocker's rules.

    python -m benchmarks.routing.mocker --traces DIR [--out FILE]

Eight workers of 1,048,576 tokens in blocks of 64, round robin, Mooncake's traces sped up. The
figures on the right are those of ai_dynamo_runtime 1.6.1 (mean and p95 of the time to first token,
share of input tokens found cached). The exit status is 1 where one is missed by more than 0.5 %.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks import report
from benchmarks.routing.mocked import Figures, figures_of, replay
from benchmarks.routing.mooncake import CONVERSATION, SYNTHETIC, replayed
from benchmarks.workloads.traces import TraceError
from router.sim.rivals.simple import RoundRobin

WORKERS, BLOCK_TOKENS = 8, 64
TOLERANCE = 0.005
EXIT_MISSED, EXIT_USAGE = 1, 2


@dataclass(frozen=True, slots=True)
class Published:
    """What Dynamo's own replay of a trace gave."""

    trace: str
    speed: float
    ttft_mean_ms: float
    ttft_p95_ms: float
    hit_percent: float  # with one decimal: known to within 0.05


PUBLISHED = (
    Published(CONVERSATION, 4.917, 655, 2315, 8.1),
    Published(CONVERSATION, 6.147, 5180, 16419, 7.9),
    Published(SYNTHETIC, 6.026, 4008, 15852, 9.7),
)


def agrees(ours: Figures, published: Published) -> bool:
    """Whether all three figures are within the tolerance, and what the published digits leave."""
    return (
        abs(ours.ttft_mean_ms / published.ttft_mean_ms - 1) <= TOLERANCE
        and abs(ours.ttft_p95_ms / published.ttft_p95_ms - 1) <= TOLERANCE
        and abs(100 * ours.hit_share - published.hit_percent)
        <= 0.05 + TOLERANCE * published.hit_percent
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Replay, print the table, write the figures; 1 if one is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--traces", type=Path, required=True, help="the folder of the data")
    parser.add_argument("--out", type=Path, help="write the figures here, as JSON")
    options = parser.parse_args(arguments)
    try:
        found = [
            figures_of(
                replay(
                    replayed(options.traces / published.trace, BLOCK_TOKENS, published.speed),
                    WORKERS,
                    BLOCK_TOKENS,
                    RoundRobin(),
                )
            )
            for published in PUBLISHED
        ]
    except TraceError as error:
        print(f"benchmarks.routing.mocker: {error}", file=sys.stderr)
        return EXIT_USAGE
    pairs = list(zip(found, PUBLISHED, strict=True))
    report.print_table(
        f"The mocker's rules, round robin, {WORKERS} workers: ours / published",
        ("trace", "faster by", "TTFT mean ms", "p95 ms", "hits", "agrees"),
        [
            (
                published.trace.split("/")[1].split("_", maxsplit=1)[0],
                f"{published.speed:g}",
                f"{ours.ttft_mean_ms:.0f} / {published.ttft_mean_ms:.0f}",
                f"{ours.ttft_p95_ms:.0f} / {published.ttft_p95_ms:.0f}",
                f"{100 * ours.hit_share:.1f} / {published.hit_percent:.1f} %",
                "yes" if agrees(ours, published) else "NO",
            )
            for ours, published in pairs
        ],
    )
    if options.out:
        rows = [{"ours": asdict(ours), "published": asdict(other)} for ours, other in pairs]
        report.write_json(options.out, {"mocker": rows})
    return 0 if all(agrees(*pair) for pair in pairs) else EXIT_MISSED


if __name__ == "__main__":
    sys.exit(main())
