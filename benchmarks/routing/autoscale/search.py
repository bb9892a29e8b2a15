"""The rival's best target: the cheapest one with which it keeps as much as ours does."""

from collections.abc import Callable, Iterable, Sequence

from benchmarks.routing.autoscale.run import REACTIVE, Outcome, Try

GRID = (2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0)  # Serve's default is 2
REFINED = (0.25, 0.5, 0.75)  # between the best of them and the next
EQUAL = 0.0005  # of the turns, that it may keep fewer

RunAll = Callable[[Sequence[Try]], Iterable[Outcome]]


def rivals(ours: Outcome, run_all: RunAll, grid: Sequence[float] = GRID) -> list[Outcome]:
    """Every target that was tried, in order."""
    tried = list(run_all([Try(REACTIVE, target) for target in grid]))
    best = equal(ours, tried)
    if best is not None:
        above = min((one.target for one in tried if one.target > best.target), default=None)
        if above is not None:
            gap = above - best.target
            finer = [Try(REACTIVE, round(best.target + share * gap, 3)) for share in REFINED]
            tried += run_all(finer)
    return sorted(tried, key=lambda one: one.target)


def equal(ours: Outcome, tried: Iterable[Outcome]) -> Outcome | None:
    """The cheapest that keeps as much as ours; None where none does."""
    kept = ours.summary.attainment - EQUAL
    able = [one for one in tried if one.summary.attainment >= kept]
    return min(able, key=lambda one: (one.metered_usd, -one.target), default=None)
