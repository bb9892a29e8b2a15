"""The picture of a plan: cost against attainment."""

from pathlib import Path

from spillway.planning.search import Plan


def draw(plan: Plan, path: Path) -> None:
    """Write the picture in the format that the suffix of `path` names. Needs matplotlib."""
    import matplotlib as mpl  # noqa: PLC0415 - an extra, and slow to import

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    frontier = plan.frontier
    axes.plot(
        [trial.usd_per_month for trial in frontier],
        [100 * trial.attainment for trial in frontier],
        "o-",
        color="0.5",
        label="frontier",
    )
    for name, trial, colour in (
        ("best" if plan.is_met else "nearest", plan.best, "black"),
        ("home only", plan.home_only, "tab:blue"),
        ("rented only", plan.rented_only, "tab:orange"),
    ):
        if trial is not None:
            axes.plot(trial.usd_per_month, 100 * trial.attainment, "D", color=colour, label=name)
    for name, trial in plan.without.items():
        label = f"best, {name} lost"
        axes.plot(trial.usd_per_month, 100 * trial.attainment, "x", color="tab:red", label=label)
    axes.axhline(100 * plan.objective, color="0.8", zorder=0)
    axes.set_xlabel("US dollars a month")
    axes.set_ylabel("turns in time, %")
    axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)
