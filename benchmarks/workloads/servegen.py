"""Clients of ServeGen's format: rates, burstiness and lengths to draw requests from.

The data is an archive with two files a client. `chunk-N-trace.csv` has a row for each window of ten
minutes: its start in seconds, requests per second, coefficient of variation of the gaps, and the
family, shape and scale of the distribution fitted to them. `chunk-N-dataset.json` has the
probabilities of prompt and answer lengths in windows of hours. Where a window of lengths is
missing, the nearest one stands in.
"""

import ast
import csv
import heapq
import io
import json
import math
import random
import re
import tarfile
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise
from operator import attrgetter
from pathlib import Path

from benchmarks.workloads.plan import Session, Turn
from benchmarks.workloads.traces import TraceError

WINDOW_S = 600.0
_MEMBER = re.compile(r"chunk-(\d+)-(trace\.csv|dataset\.json)$")


@dataclass(frozen=True, slots=True)
class Window:
    """How a client's requests arrive in ten minutes."""

    rate: float  # requests per second
    family: str  # of the gaps: Gamma or Weibull
    shape: float

    def gap_s(self, rate: float, rng: random.Random) -> float:
        """A gap of this family and shape at another rate."""
        if self.family == "Weibull":
            return rng.weibullvariate(1 / (rate * math.gamma(1 + 1 / self.shape)), self.shape)
        return rng.gammavariate(self.shape, 1 / (rate * self.shape))


@dataclass(frozen=True, slots=True)
class Lengths:
    """A distribution of token counts: values, and the cumulated probability of each."""

    values: tuple[int, ...]
    cumulated: tuple[float, ...]

    def draw(self, rng: random.Random) -> int:
        """One length, of at least a token."""
        index = bisect_left(self.cumulated, rng.random() * self.cumulated[-1])
        return max(1, self.values[min(index, len(self.values) - 1)])


@dataclass(frozen=True, slots=True)
class Client:
    """One client's day."""

    name: str
    windows: dict[float, Window]  # by start in seconds
    lengths: dict[float, tuple[Lengths, Lengths]]  # prompts and answers, by start in seconds

    def rate(self, begin_s: float, end_s: float) -> float:
        """Its mean requests per second in a span of the day."""
        inside = [w.rate for at_s, w in self.windows.items() if begin_s <= at_s < end_s]
        return sum(inside) * WINDOW_S / (end_s - begin_s)

    def lengths_at(self, at_s: float) -> tuple[Lengths, Lengths]:
        """The lengths of the window that began last, or else of the first there is."""
        begun = [start_s for start_s in self.lengths if start_s <= at_s]
        return self.lengths[max(begun) if begun else min(self.lengths)]


def read_clients(path: Path) -> list[Client]:
    """All clients of an archive, the busiest first. Raises TraceError."""
    windows: dict[int, dict[float, Window]] = {}
    lengths: dict[int, dict[float, tuple[Lengths, Lengths]]] = {}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                found = _MEMBER.search(member.name)
                file = archive.extractfile(member) if found else None
                if found is None or file is None:
                    continue
                text = file.read().decode()
                if found[2] == "trace.csv":
                    windows[int(found[1])] = dict(_windows(text))
                else:
                    lengths[int(found[1])] = dict(_lengths(text))
    except (OSError, EOFError, tarfile.TarError, ValueError, LookupError, SyntaxError) as error:
        raise TraceError(f"{path}: not ServeGen's clients: {error}") from error
    clients = [
        Client(f"client-{number}", found, lengths[number])
        for number, found in windows.items()
        if found and lengths.get(number)
    ]
    return sorted(clients, key=lambda c: (-sum(w.rate for w in c.windows.values()), c.name))


def sessions(
    clients: Iterable[Client],
    *,
    begin_s: float,
    end_s: float,
    factor: Callable[[Client, float], float],
    seed: int,
) -> Iterator[Session]:
    """The requests of a span of the day, from 0 on, each a session of one turn.

    `factor` is by how much a client's rate is multiplied at an offset from `begin_s`.
    """
    streams = [
        _requests(client, begin_s, end_s, factor, random.Random(f"{seed} {client.name}"))
        for client in clients
    ]
    return heapq.merge(*streams, key=attrgetter("at_s"))


def _requests(
    client: Client,
    begin_s: float,
    end_s: float,
    factor: Callable[[Client, float], float],
    rng: random.Random,
) -> Iterator[Session]:
    count = 0
    for start_s, window in sorted(client.windows.items()):
        if not begin_s <= start_s < end_s:
            continue
        prompts, answers = client.lengths_at(start_s)
        at_s = start_s - begin_s
        closes_s = at_s + WINDOW_S
        while True:
            at_s += window.gap_s(window.rate * factor(client, at_s), rng)
            if at_s >= closes_s:
                break
            turn = Turn(prompts.draw(rng), answers.draw(rng))
            yield Session(f"{client.name}-{count}", at_s, (turn,), tenant=client.name)
            count += 1


def _windows(text: str) -> Iterator[tuple[float, Window]]:
    for row in csv.reader(io.StringIO(text)):
        start_s, rate, _cv, family, shape, _scale = row
        if float(rate) > 0 and family in {"Gamma", "Weibull"}:
            yield float(start_s), Window(float(rate), family, float(shape))


def _lengths(text: str) -> Iterator[tuple[float, tuple[Lengths, Lengths]]]:
    for start_s, window in json.loads(text).items():
        prompts = _distribution(window["input_tokens"])
        answers = _distribution(window["output_tokens"])
        if prompts and answers:
            yield float(start_s), (prompts, answers)


def _distribution(text: str) -> Lengths | None:
    """A distribution as it is written: a Python dictionary of length to probability."""
    shares = ast.literal_eval(text) if text else {}
    if not shares:
        return None
    values = sorted(shares)
    cumulated = tuple(accumulate(float(shares[value]) for value in values))
    if any(later < earlier for earlier, later in pairwise(cumulated)) or cumulated[-1] <= 0:
        raise ValueError("probabilities are at least zero, and some are above")
    return Lengths(tuple(int(value) for value in values), cumulated)
