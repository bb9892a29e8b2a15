"""The picture of a scenario: first tokens and load over time; objectives, latency and cost."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.routing.bound import BOUND
from benchmarks.routing.compare import Result
from benchmarks.routing.setup import Setup
from router.sim.rivals.registry import OURS

NAMED = 3  # rivals with a colour: the best ones


def draw(setup: Setup, results: Sequence[Result], path: Path) -> None:
    """Write the picture as PNG or whatever else the suffix of `path` names."""
    import matplotlib as mpl  # noqa: PLC0415 - slow to import, and workers have no use for it

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, axes = plt.subplot_mosaic(
        [["time", "cost"], ["load", "cost"]],
        figsize=(14, 7),
        width_ratios=(2, 1),
        height_ratios=(3, 2),
        layout="constrained",
    )
    bounds = [result.summary.attainment for result in results if result.policy == BOUND]
    results = [result for result in results if result.policy != BOUND]
    figure.suptitle(f"{setup.name}: {setup.title}", fontsize=10)
    _times(axes["time"], results)
    _load(axes["load"], results)
    _cost(axes["cost"], results)
    for bound in bounds:
        axes["cost"].axhline(bound, color="grey", linewidth=1, linestyle=":", label=BOUND)
        axes["cost"].legend(loc="lower left", fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    # No date and no version inside: the same run draws the same bytes.
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)


def _times(axes: Any, results: Sequence[Result]) -> None:
    """p95 TTFT of each policy: ours black, the best rivals in colour, the others grey."""
    ranked = sorted(results, key=lambda r: (-r.summary.attainment, r.policy))
    best = [result.policy for result in ranked if result.policy != OURS][:NAMED]
    for result in reversed(ranked):
        look: dict[str, Any] = {"color": "lightgrey", "linewidth": 0.8}
        if result.policy == OURS:
            look = {"color": "black", "linewidth": 2, "label": OURS}
        elif result.policy in best:
            look = {"linewidth": 1.2, "label": result.policy}
        values = [value or float("nan") for value in result.series.ttft_s_p95]
        axes.plot(_minutes(result), values, **look)
    axes.set_yscale("log")
    axes.set_ylabel("TTFT p95, s")
    axes.legend(loc="upper right", fontsize=8)


def _load(axes: Any, results: Sequence[Result]) -> None:
    """Where ours sends the load; of the first policy's run where ours is not among them."""
    shown = next((result for result in results if result.policy == OURS), results[0])
    sites = dict(sorted(shown.series.turns_per_s_by_site.items(), key=_home_first))
    axes.stackplot(_minutes(shown), list(sites.values()), labels=list(sites))
    axes.set_ylabel(f"turns/s of {shown.policy}")
    axes.set_xlabel("minutes")
    axes.legend(loc="upper right", fontsize=8)


def _cost(axes: Any, results: Sequence[Result]) -> None:
    """Objectives kept against p95 TTFT; the area of a dot is what was paid."""
    most = max((result.summary.metered_usd for result in results), default=0.0) or 1.0
    for result in results:
        summary = result.summary
        area = 20 + 400 * summary.metered_usd / most
        colour = "black" if result.policy == OURS else "tab:blue"
        point = (summary.ttft_s.p95, summary.attainment)
        axes.scatter(*point, s=area, color=colour, alpha=0.5, linewidths=0)
        axes.annotate(f"{result.policy} ${summary.metered_usd:.0f}", point, fontsize=7)
    axes.set_xscale("log")
    axes.margins(x=0.3)  # room for the names
    axes.set_xlabel("TTFT p95, s (area: dollars)")
    axes.set_ylabel("turns that kept their objectives")


def _home_first(site: tuple[str, list[float]]) -> tuple[bool, str]:
    return (site[0] != "home", site[0])


def _minutes(result: Result) -> list[float]:
    return [index * result.series.width_s / 60 for index in range(len(result.series.attainment))]
