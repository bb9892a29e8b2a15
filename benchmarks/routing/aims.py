"""How ours stands against the best rival of each scenario, and which aims that keeps.

The best rival keeps the objectives of the most turns; of equals, with the lower p95 TTFT. Money is
compared with the cheapest rival that keeps as many as ours, within half a point, and where there
is none with the best.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.report import print_table
from benchmarks.routing.bound import BOUND
from benchmarks.routing.compare import Result
from router.sim.rivals.registry import OURS

LOWER_P95 = {"burst": 0.8, "prefix": 0.8}  # of the best rival's
CHEAPER = {"week": 0.7}  # of the rival's bill
HALF = 0.5  # of the best rival's misses
OF_BOUND = 0.95
ALIKE = 0.005  # of attainment

COLUMNS = (
    *("scenario", "best rival", "kept: ours", "rival's", "misses", "TTFT p95", "USD"),
    *("of bound", "missed aims"),
)


@dataclass(frozen=True, slots=True)
class Standing:
    """Ours against the best rival of one scenario; ratios are ours to theirs."""

    scenario: str
    rival: str
    kept: float
    rival_kept: float
    misses_ratio: float  # 0 where both miss nothing
    ttft_p95_ratio: float
    usd_ratio: float | None  # None where the rival paid nothing
    of_bound: float | None  # None where the bound was not run

    @property
    def missed(self) -> list[str]:
        """The aims that are not kept, in words."""
        missed = []
        if self.kept < self.rival_kept:
            missed.append("attainment")
        if self.misses_ratio > HALF + 1e-6:  # shares of whole turns, as floats
            missed.append("half the misses")
        if self.ttft_p95_ratio > LOWER_P95.get(self.scenario, float("inf")):
            missed.append("p95 TTFT")
        if self.usd_ratio is not None and self.usd_ratio > CHEAPER.get(self.scenario, float("inf")):
            missed.append("cost")
        if self.of_bound is not None and self.of_bound < OF_BOUND:
            missed.append("bound")
        return missed


def standing(scenario: str, results: Sequence[Result]) -> Standing | None:
    """Where ours stands; None where it or every rival was not run."""
    by_policy = {result.policy: result.summary for result in results}
    ours, bound = by_policy.get(OURS), by_policy.get(BOUND)
    rivals = [result for result in results if result.policy not in {OURS, BOUND}]
    if ours is None or not rivals:
        return None
    best = min(rivals, key=lambda one: (-one.summary.attainment, one.summary.ttft_s.p95))
    as_good = [one for one in rivals if one.summary.attainment >= ours.attainment - ALIKE]
    paid = min((one.summary.metered_usd for one in as_good), default=best.summary.metered_usd)
    misses, rival_misses = 1 - ours.attainment, 1 - best.summary.attainment
    return Standing(
        scenario=scenario,
        rival=best.policy,
        kept=ours.attainment,
        rival_kept=best.summary.attainment,
        misses_ratio=_ratio(misses, rival_misses),
        ttft_p95_ratio=_ratio(ours.ttft_s.p95, best.summary.ttft_s.p95),
        usd_ratio=ours.metered_usd / paid if paid else None,
        of_bound=ours.attainment / bound.attainment if bound and bound.attainment else None,
    )


def rows(standings: Sequence[Standing]) -> list[list[str]]:
    """A row a scenario."""
    return [
        [
            one.scenario,
            one.rival,
            f"{one.kept:.2%}",
            f"{one.rival_kept:.2%}",
            f"{one.misses_ratio:.2f}",
            f"{one.ttft_p95_ratio:.2f}",
            "" if one.usd_ratio is None else f"{one.usd_ratio:.2f}",
            "" if one.of_bound is None else f"{one.of_bound:.1%}",
            ", ".join(one.missed) or "none",
        ]
        for one in standings
    ]


def show(standings: Sequence[Standing]) -> None:
    """Print the table."""
    print_table("Ours against the best rival (ratios)", COLUMNS, rows(standings))


def _ratio(ours: float, theirs: float) -> float:
    if theirs > 0:
        return ours / theirs
    return float("inf") if ours > 0 else 0.0
