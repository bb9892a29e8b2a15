"""A picture of a run: time to first token as it went, and the share of each site under it."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from benchmarks.serving.record import Record

BINS = 60


def draw(records: Sequence[Record], objective_ttft_s: float, path: Path) -> None:
    """Write the picture as PNG or whatever else the suffix of `path` names."""
    import matplotlib as mpl  # noqa: PLC0415 - slow to import, and asked for by few runs

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    answered = [record for record in records if record.ttft_s is not None]
    sites = sorted({record.site or "unknown" for record in answered})
    figure, (above, below) = plt.subplots(
        2, 1, sharex=True, figsize=(10, 6), height_ratios=(2, 1), layout="constrained"
    )
    for site in sites:
        points = [(r.intended_s, r.ttft_s) for r in answered if (r.site or "unknown") == site]
        above.scatter(*zip(*points, strict=True), s=8, label=site)
    failed = [record.intended_s for record in records if record.status != "OK"]
    above.scatter(failed, [objective_ttft_s] * len(failed), marker="x", color="red", label="error")
    above.axhline(objective_ttft_s, linestyle="--", linewidth=1, color="grey", label="objective")
    above.set_yscale("log")
    above.set_ylabel("time to first token, s")
    above.legend(loc="upper right")

    edges, shares = shares_over_time(answered, sites)
    below.stackplot(edges, shares, labels=sites, step="post")
    below.set_ylim(0, 1)
    below.set_ylabel("share of turns")
    below.set_xlabel("seconds since the first session")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def shares_over_time(
    records: Sequence[Record], sites: Sequence[str]
) -> tuple[list[float], list[list[float]]]:
    """The left edges of equal bins of time, in seconds, and each site's share of their turns."""
    end_s = max((record.intended_s for record in records), default=0.0)
    width_s = max(end_s / BINS, 1e-9)
    counts = [Counter[str]() for _ in range(BINS)]
    for record in records:
        counts[min(BINS - 1, int(record.intended_s / width_s))][record.site or "unknown"] += 1
    shares = [[count[site] / max(1, count.total()) for count in counts] for site in sites]
    return [index * width_s for index in range(BINS)], shares
