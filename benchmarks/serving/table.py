"""The table of a run: one row for each site, one for all."""

from collections import defaultdict
from collections.abc import Sequence

from benchmarks.report import Table, print_table
from benchmarks.serving.record import Record
from benchmarks.serving.summary import Objective, Percentiles, Summary, summarize

COLUMNS = (
    *("site", "sessions", "turns", "ok", "share"),
    *("TTFT p50", "p90", "p95", "p99 ms", "ITL p50", "p95", "p99 ms"),
    *("TPOT p50 ms", "e2e p50", "p99 s", "tokens", "tokens/s", "good turns/s"),
)


def by_site(records: Sequence[Record], objective: Objective) -> dict[str, Summary]:
    """A summary for each site that answered, in the order of their names."""
    parts: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        parts[record.site or "unknown"].append(record)
    return {site: summarize(part, objective) for site, part in sorted(parts.items())}


def show(whole: Summary, sites: dict[str, Summary], objective: Objective) -> Table:
    """Print the table, with what went wrong under it, and return it."""
    rows = [_row(site, part, whole) for site, part in sites.items()]
    errors = ", ".join(f"{count} {status}" for status, count in sorted(whole.errors.items()))
    return print_table(
        f"{whole.turns} turns in {whole.duration_s:.1f} s: {whole.slo_attainment:.1%} within "
        f"TTFT {objective.ttft_s:g} s and ITL p95 {objective.itl_s:g} s",
        COLUMNS,
        [*rows, _row("all", whole, whole)],
        note=f"errors: {errors or 'none'}; wrong answers: {whole.wrong}; "
        f"the driver was late by at most {whole.lag_s_max * 1000:.0f} ms (counted in TTFT)",
    )


def _row(name: str, part: Summary, whole: Summary) -> list[str]:
    return [
        name,
        str(part.sessions),
        str(part.turns),
        str(part.completed),
        f"{part.completed / max(1, whole.completed):.0%}",
        *_ms(part.ttft_s, "p50", "p90", "p95", "p99"),
        *_ms(part.itl_s, "p50", "p95", "p99"),
        *_ms(part.time_per_output_token_s, "p50"),
        f"{part.end_to_end_s.p50:.2f}",
        f"{part.end_to_end_s.p99:.2f}",
        str(part.output_tokens),
        f"{part.tokens_per_s:.1f}",
        f"{part.goodput_turns_per_s:.2f}",
    ]


def _ms(values: Percentiles, *names: str) -> list[str]:
    return [f"{getattr(values, name) * 1000:.0f}" for name in names]
