"""The roofline: operations a second over operations for each byte, under the measured ceilings."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt


def draw(
    machine: Mapping[str, Any],
    problems: Sequence[tuple[Mapping[str, Any], float]],
    path: Path,
) -> None:
    """Write the picture; a problem comes with the least time it could take, microseconds."""
    figure, axes = plt.subplots(figsize=(10, 6), layout="constrained")
    bandwidth, peak = machine["copy_bytes_s"], machine["matmul_ops_s"]
    intensities = [2.0**power for power in range(-1, 15)]
    roof = [min(peak, bandwidth * x) / 1e12 for x in intensities]
    axes.plot(intensities, roof, color="black", label="ceilings of this run")
    names = sorted({name for problem, _ in problems for name in problem["us"]})
    for name in names:
        points = [
            (p["operations"] / p["bytes"], p["operations"] / p["us"][name] / 1e6)
            for p, _ in problems
            if name in p["us"]
        ]
        axes.scatter(*zip(*points, strict=True), s=24, label=name)
    for problem, floor in problems:
        at = problem["operations"] / problem["bytes"]
        axes.annotate(
            problem["shape"],
            (at, problem["operations"] / floor / 1e6),
            fontsize=7,
            rotation=45,
        )
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xlabel("operations for each byte of K and V")
    axes.set_ylabel("TFLOP/s")
    axes.set_title(str(machine["device"]))
    axes.legend(loc="lower right")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)
