"""A straight line through measured times: what something takes at least, and more for each unit."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """y = base + slope * x, neither below zero; and how far off it is in the mean."""

    base: float
    slope: float
    error: float  # mean of |y / measured - 1|


def fit(points: Sequence[tuple[float, float]]) -> Line:
    """The line with the least relative error through (x, y > 0). ValueError without any point.

    Relative, because a long prompt's milliseconds would else outweigh a short one's altogether.
    """
    if not points:
        raise ValueError("a line needs a point")
    weights = [1.0 / (y * y) for _, y in points]
    total = sum(weights)
    mean_x = sum(w * x for w, (x, _) in zip(weights, points, strict=True)) / total
    mean_y = sum(w * y for w, (_, y) in zip(weights, points, strict=True)) / total
    spread = sum(w * (x - mean_x) ** 2 for w, (x, _) in zip(weights, points, strict=True))
    together = sum(
        w * (x - mean_x) * (y - mean_y) for w, (x, y) in zip(weights, points, strict=True)
    )
    slope = max(0.0, together / spread) if spread > 0 else 0.0
    base = mean_y - slope * mean_x
    if base < 0.0:  # a line through the origin is the best of those that are allowed
        base = 0.0
        slope = sum(w * x * y for w, (x, y) in zip(weights, points, strict=True)) / sum(
            w * x * x for w, (x, _) in zip(weights, points, strict=True)
        )
    error = sum(abs((base + slope * x) / y - 1) for x, y in points) / len(points)
    return Line(base, slope, error)
