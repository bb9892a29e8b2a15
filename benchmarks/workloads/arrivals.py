"""When sessions arrive: endless streams of offsets in seconds, each from its own generator."""

import math
import random
from collections.abc import Callable, Iterator

Rate = Callable[[float], float]
"""Arrivals per second at an offset in seconds."""


def constant(rate: float) -> Rate:
    """The same rate at every offset."""
    if not (math.isfinite(rate) and rate > 0):
        raise ValueError(f"a rate is a positive number of arrivals per second, not {rate}")
    return lambda _at_s: rate


def poisson(rate: Rate, rng: random.Random) -> Iterator[float]:
    """A Poisson process whose rate may change with time."""
    return gamma(rate, cv=1.0, rng=rng)


def gamma(rate: Rate, cv: float, rng: random.Random) -> Iterator[float]:
    """Gaps with a gamma distribution: mean 1/rate and this coefficient of variation.

    cv 1 is a Poisson process, 0 is a metronome, above 1 is bursty. A rate that changes with time is
    followed by time rescaling: unit-mean gaps are spent at the speed of the rate.
    """
    if not (math.isfinite(cv) and cv >= 0):
        raise ValueError(f"a coefficient of variation is a number of at least 0, not {cv}")
    at_s = 0.0
    while True:
        if cv == 0:
            gap = 1.0
        else:
            shape = 1 / (cv * cv)
            gap = rng.gammavariate(shape, 1 / shape)
        at_s = _advance(at_s, gap, rate)
        yield at_s


STEP_S = 0.25
"""A changing rate is followed in steps of this length."""


def _advance(at_s: float, gap: float, rate: Rate) -> float:
    """The offset at which the integral of `rate` from `at_s` on reaches `gap`."""
    while True:
        step_end_s = (math.floor(at_s / STEP_S) + 1) * STEP_S
        per_s = rate(at_s)
        reach = per_s * (step_end_s - at_s)
        if reach >= gap and per_s > 0:
            return at_s + gap / per_s
        gap -= reach
        at_s = step_end_s
