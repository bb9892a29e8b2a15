"""The table of a scenario: one row a policy, the best attainment first."""

from collections.abc import Iterable, Sequence

from benchmarks.report import Table, print_table
from benchmarks.routing.bound import BOUND
from benchmarks.routing.compare import Result
from benchmarks.routing.measures import Latency
from benchmarks.routing.setup import Setup

COLUMNS = (
    *("policy", "kept", "of bound", "TTFT p50", "p95", "p99 s", "e2e p50", "p95", "p99 s"),
    *("cached", "USD", "egress GiB", "away", "moves", "failed"),
)


def rows(results: Iterable[Result], bound: float | None) -> list[list[str]]:
    """The rows; `bound` is the attainment that no policy can exceed, where it is known."""
    ordered = sorted(results, key=lambda result: (-result.summary.attainment, result.policy))
    return [_row(result, bound) for result in ordered]


def show(setup: Setup, results: Sequence[Result], bound: float | None) -> Table:
    """Print the table, and return it."""
    return print_table(f"{setup.name}: {setup.title}", COLUMNS, rows(results, bound))


def markdown(columns: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table as a page has it: the first column to the left, figures to the right."""
    return "\n".join(
        [
            f"| {' | '.join(columns)} |",
            f"|---|{'---:|' * (len(columns) - 1)}",
            *(f"| {' | '.join(line)} |" for line in lines),
            "",
        ]
    )


def page(setup: Setup, results: Sequence[Result], bound: float | None) -> str:
    """The table under the scenario's name and title."""
    return f"## {setup.name}\n\n{setup.title}\n\n{markdown(COLUMNS, rows(results, bound))}"


def _row(result: Result, bound: float | None) -> list[str]:
    summary = result.summary
    if result.policy == BOUND:
        return [BOUND, f"{summary.attainment:.2%}", "100.0%", *("" for _ in COLUMNS[3:])]
    return [
        result.policy,
        f"{summary.attainment:.2%}",
        f"{summary.attainment / bound:.1%}" if bound else "",
        *_seconds(summary.ttft_s),
        *_seconds(summary.end_to_end_s),
        f"{summary.hit_rate:.1%}",
        f"{summary.metered_usd:.2f}",
        f"{summary.egress_gib:.3f}",
        f"{summary.overflowed:.1%}",
        f"{summary.moves_per_session:.2f}",
        str(summary.failed),
    ]


def _seconds(latency: Latency) -> list[str]:
    return [f"{value:.2f}" for value in (latency.p50, latency.p95, latency.p99)]
