"""A run over time, in equal bins: what its picture shows."""

from collections import Counter
from dataclasses import dataclass

from benchmarks.routing.measures import Measures
from benchmarks.serving.summary import quantile

BINS = 60


@dataclass(frozen=True, slots=True)
class Series:
    """One value a bin; bins begin `width_s` seconds apart."""

    width_s: float
    turns_per_s: list[float]
    ttft_s_p95: list[float]  # 0 where nothing was answered
    attainment: list[float]  # 1 where nothing was asked
    turns_per_s_by_site: dict[str, list[float]]


def series(measures: Measures) -> Series:
    """The run in bins of the time at which turns were sent."""
    width_s = max(max(measures.sent_s, default=0.0) / BINS, 1e-9)
    sites: list[Counter[str]] = [Counter() for _ in range(BINS)]
    ttft_s: list[list[float]] = [[] for _ in range(BINS)]
    kept = [0] * BINS
    for sent_s, first_s, good, site in zip(
        measures.sent_s, measures.ttft_s, measures.kept, measures.sites, strict=True
    ):
        index = min(BINS - 1, int(sent_s / width_s))
        sites[index][site] += 1
        kept[index] += good
        if site:
            ttft_s[index].append(first_s)
    names = sorted({name for count in sites for name in count if name})
    return Series(
        width_s=width_s,
        turns_per_s=[count.total() / width_s for count in sites],
        ttft_s_p95=[quantile(values, 0.95) for values in ttft_s],
        attainment=[
            good / count.total() if count else 1.0 for good, count in zip(kept, sites, strict=True)
        ],
        turns_per_s_by_site={name: [count[name] / width_s for count in sites] for name in names},
    )
