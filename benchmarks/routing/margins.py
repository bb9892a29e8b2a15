"""Ours and SkyLB against SkyLB's own baselines, beside the margins that SkyLB publishes.

It publishes ratios over the baselines of one set-up: conversations in three regions. Ratios in one
world can be compared with ratios in another, times cannot; and SkyLB itself runs here too, by its
own rules, so its margins in this very world stand beside the published ones. Throughput is turns
that kept their objectives: demand here does not wait for answers, so that all that is asked for is
answered in the end by whoever refuses nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.report import print_table
from benchmarks.routing.compare import Result
from benchmarks.routing.measures import Summary
from benchmarks.routing.table import markdown
from router.sim.rivals.registry import OURS

TITLE = "Against SkyLB's own baselines"
SKYLB = "skylb"
BASELINES = ("round-robin", "least-requests", "consistent-hash", "smg")
SCENARIOS = ("prefix", "sessions")  # conversations over several sites

COLUMNS = ("scenario", "times better than its baselines", "published", "SkyLB here", "ours", "more")


@dataclass(frozen=True, slots=True)
class Range:
    """The least and the most over the baselines; above 1 is better than they are."""

    least: float
    most: float

    def exceeds(self, other: "Range") -> bool:
        """Whether both ends do."""
        return self.least > other.least and self.most > other.most

    def __str__(self) -> str:
        return f"{self.least:.2f} to {self.most:.2f}"


@dataclass(frozen=True, slots=True)
class Margin:
    """One measure of one scenario."""

    scenario: str
    measure: str
    published: Range
    skylb: Range | None  # None where it was not run
    ours: Range


@dataclass(frozen=True, slots=True)
class _Measure:
    """How much better one run is than another."""

    name: str
    published: Range
    ratio: Callable[[Summary, Summary], float]


_LOWER_LATENCY = Range(1.74, 6.30)
_MEASURES = (
    _Measure("turns kept", Range(1.12, 2.06), lambda one, base: _over(one, base, _kept)),
    _Measure(
        "TTFT p50", _LOWER_LATENCY, lambda one, base: _over(base, one, lambda s: s.ttft_s.p50)
    ),
    _Measure(
        "TTFT p95", _LOWER_LATENCY, lambda one, base: _over(base, one, lambda s: s.ttft_s.p95)
    ),
    _Measure(
        "cost", Range(1.33, 1.33), lambda one, base: _over(base, one, lambda s: s.metered_usd)
    ),
)


def margins(scenario: str, results: Sequence[Result]) -> list[Margin]:
    """All measures of a scenario; none where ours or every baseline was not run."""
    by_policy = {result.policy: result.summary for result in results}
    baselines = [by_policy[name] for name in BASELINES if name in by_policy]
    if scenario not in SCENARIOS or OURS not in by_policy or not baselines:
        return []
    found = []
    for measure in _MEASURES:
        ranges = {}
        for name in (SKYLB, OURS):
            if name in by_policy:
                ratios = [measure.ratio(by_policy[name], base) for base in baselines]
                ranges[name] = Range(min(ratios), max(ratios))
        ours = ranges[OURS]
        if ours.most > 0:  # where nothing is metered, nothing is paid
            margin = Margin(scenario, measure.name, measure.published, ranges.get(SKYLB), ours)
            found.append(margin)
    return found


def rows(found: Sequence[Margin]) -> list[list[str]]:
    """A row a measure."""
    return [
        [
            one.scenario,
            one.measure,
            str(one.published),
            "" if one.skylb is None else str(one.skylb),
            str(one.ours),
            "yes" if one.ours.exceeds(one.published) else "no",
        ]
        for one in found
    ]


def section(found: Sequence[Margin]) -> str:
    """The table as a section of the page of results."""
    return (
        f"## {TITLE}\n\n"
        "SkyLB publishes by how much it is better than round robin, least requests, consistent "
        "hashing and SGLang's router. The same ratios here, from the least to the most over those "
        "four. Turns kept stand for throughput; more means that both ends are above the published "
        "ones.\n\n" + markdown(COLUMNS, rows(found))
    )


def show(found: Sequence[Margin]) -> None:
    """Print the table."""
    print_table(f"{TITLE} (ratios)", COLUMNS, rows(found))


def _kept(summary: Summary) -> float:
    return summary.attainment


def _over(above: Summary, below: Summary, figure: Callable[[Summary], float]) -> float:
    """The ratio of two figures; 0 where there is nothing to compare with."""
    return figure(above) / figure(below) if figure(below) > 0 else 0.0
