"""A picture of a run: what a message costs and what the first token waits, load by load."""

from collections.abc import Mapping
from pathlib import Path

from benchmarks.dataplane.measure import Measured
from benchmarks.dataplane.middles import DIRECT, MIDDLES


def draw(of_loads: Mapping[str, Mapping[str, Measured]], path: Path) -> None:
    """Write the picture as PNG or whatever else the suffix of `path` names."""
    import matplotlib as mpl  # noqa: PLC0415 - slow to import, and asked for by few runs

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, axes = plt.subplots(
        len(of_loads), 2, figsize=(11, 1 + 2.2 * len(of_loads)), squeeze=False, layout="constrained"
    )
    for (left, right), (load, middles) in zip(axes, of_loads.items(), strict=True):
        shown = [one for name, one in middles.items() if name not in DIRECT.values()]
        names = [one.middle for one in shown]
        colours = ["tab:blue" if "spillway" in name else "tab:grey" for name in names]
        costs = [one.cpu_us_per_message for one in shown]
        left.bar_label(left.barh(names, costs, color=colours), fmt="%.1f", padding=2)
        left.set_title(f"{load}: CPU us per message", fontsize=9)
        bases = [middles.get(DIRECT[MIDDLES[name].api]) for name in names]
        added = [
            max(0.0, one.ttft_ms_p99 - (base.ttft_ms_p99 if base else 0))
            for one, base in zip(shown, bases, strict=True)
        ]
        right.bar_label(right.barh(names, added, color=colours), fmt="%.2f", padding=2)
        right.set_title(f"{load}: added TTFT p99, ms", fontsize=9)
        for axis in (left, right):
            axis.invert_yaxis()
            axis.margins(x=0.15)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)
