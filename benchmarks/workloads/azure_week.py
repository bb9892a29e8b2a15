"""A week shaped by Azure's published rates and lengths of 2024, which exist only as plots.

The files hold points read off those plots: requests per minute about every seven minutes, and the
cumulated shares of token counts, in percent, noisy at their ends. The code service's week begins on
a Friday, the conversation service's on a Sunday; both are laid on a week that begins on a Sunday.
"""

import csv
import heapq
import random
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

from benchmarks.workloads.arrivals import Rate, poisson
from benchmarks.workloads.plan import Session, Turn
from benchmarks.workloads.traces import TraceError

WEEK_MINUTES = 7 * 24 * 60
_SUNDAY = {"code": 2 * 24 * 60, "conv": 0}  # minutes from a file's beginning to its first Sunday


@dataclass(frozen=True, slots=True)
class Curve:
    """Points of a rising abscissa, read in between by straight lines."""

    xs: tuple[float, ...]
    ys: tuple[float, ...]

    def at(self, x: float) -> float:
        """The value at `x`; beyond the ends, the end's."""
        index = bisect_right(self.xs, x)
        if index == 0:
            return self.ys[0]
        if index == len(self.xs):
            return self.ys[-1]
        x0, x1 = self.xs[index - 1], self.xs[index]
        y0, y1 = self.ys[index - 1], self.ys[index]
        return y0 + (y1 - y0) * (x - x0) / (x1 - x0)


@dataclass(frozen=True, slots=True)
class Service:
    """One of the two services: its week's rate, and the inverses of its lengths' distributions."""

    name: str
    per_minute: Curve  # by minute from its file's beginning
    prompt: Curve  # tokens by cumulated percent
    answer: Curve

    def per_s(self, minute: float) -> float:
        """Requests per second at a minute of the week, from Sunday on."""
        return self.per_minute.at((minute + _SUNDAY[self.name]) % WEEK_MINUTES) / 60


def read_services(folder: Path) -> tuple[Service, Service]:
    """Both services, from the folder with their six files. Raises TraceError."""
    return _service(folder, "code"), _service(folder, "conv")


def sessions(
    services: tuple[Service, ...], *, clock: float, share: float, seed: int
) -> Iterator[Session]:
    """One turn a session, by service as tenant, of a week in which `clock` minutes take a minute.

    Of the real requests `share` are asked, so that the rate is `clock * share` of the real one.
    """
    streams = [_requests(service, clock, clock * share, seed) for service in services]
    return heapq.merge(*streams, key=attrgetter("at_s"))


def _requests(service: Service, clock: float, scale: float, seed: int) -> Iterator[Session]:
    rng = random.Random(f"{seed} {service.name}")
    rate: Rate = lambda at_s: scale * service.per_s(at_s / 60 * clock)  # noqa: E731
    for index, at_s in enumerate(poisson(rate, rng)):
        if at_s >= WEEK_MINUTES * 60 / clock:
            return
        prompt, answer = (
            max(1, round(curve.at(rng.uniform(0, 100))))
            for curve in (service.prompt, service.answer)
        )
        yield Session(f"{service.name}-{index}", at_s, (Turn(prompt, answer),), tenant=service.name)


def _service(folder: Path, name: str) -> Service:
    rates = _points(
        folder / f"azure2024_{name}_requests_per_minute.csv",
        "minute",
        "rpm_mid_scaled_to_true_total",
    )
    return Service(
        name,
        Curve(tuple(x for x, _y in rates), tuple(y for _x, y in rates)),
        _inverse(folder / f"azure2024_{name}_input_tokens_cdf.csv"),
        _inverse(folder / f"azure2024_{name}_output_tokens_cdf.csv"),
    )


def _inverse(path: Path) -> Curve:
    """Tokens by cumulated percent: where the noise lets the curve fall, it stays where it was."""
    shares, tokens = [0.0], [1.0]
    for count, share in _points(path, "tokens", "cdf_pct_mid"):
        if share > shares[-1]:
            shares.append(share)
            tokens.append(max(1.0, count))
    return Curve(tuple(shares), tuple(tokens))


def _points(path: Path, x: str, y: str) -> list[tuple[float, float]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(line for line in file if not line.startswith("#"))
            points = [(float(row[x]), float(row[y])) for row in rows]
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise TraceError(f"{path}: {error}") from error
    if not points:
        raise TraceError(f"{path}: no points")
    return points
