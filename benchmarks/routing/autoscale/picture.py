"""The picture: replicas over the week, and what each autoscaler's attainment costs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.routing.autoscale.run import OURS, REACTIVE, Outcome


def draw(outcomes: Sequence[Outcome], shown: Sequence[Outcome], path: Path) -> None:
    """Write it as PNG or whatever else the suffix of `path` names."""
    import matplotlib as mpl  # noqa: PLC0415 - slow to import, and workers have no use for it

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, axes = plt.subplots(
        len(shown) + 1, 1, figsize=(12, 3 * (len(shown) + 1)), layout="constrained"
    )
    for at, one in zip(axes, shown, strict=False):
        _replicas(at, one)
    _cost(axes[-1], outcomes)
    path.parent.mkdir(parents=True, exist_ok=True)
    # No date and no version inside: the same run draws the same bytes.
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)


def _replicas(axes: Any, one: Outcome) -> None:
    sites = {site: counts for site, counts in one.replicas.items() if any(counts)}
    axes.stackplot(one.times_h, list(sites.values()), labels=list(sites), step="post")
    axes.set_title(f"{one.name}: {one.summary.attainment:.2%} for {one.metered_usd:,.0f} USD")
    axes.set_ylabel("replicas paid")
    axes.set_xlabel("hours of the week, from Sunday")
    axes.legend(loc="upper right", fontsize=8)


def _cost(axes: Any, outcomes: Sequence[Outcome]) -> None:
    rivals = sorted((one for one in outcomes if one.kind == REACTIVE), key=lambda one: one.target)
    axes.plot(
        [one.metered_usd for one in rivals],
        [one.summary.attainment for one in rivals],
        marker="o",
        label="reactive, by its target",
    )
    for one in rivals:
        axes.annotate(f"{one.target:g}", (one.metered_usd, one.summary.attainment), fontsize=7)
    for one in outcomes:
        if one.kind != REACTIVE:
            colour = "black" if one.kind == OURS else "grey"
            point = (one.metered_usd, one.summary.attainment)
            axes.scatter(*point, color=colour, label=one.name, zorder=3)
    axes.set_xlabel("metered USD of the week")
    axes.set_ylabel("turns that kept their objectives")
    axes.legend(loc="lower right", fontsize=8)
