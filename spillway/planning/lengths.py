"""Lengths of prompts and answers, drawn from a distribution that a command line gives."""

import csv
import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Protocol

TOKENS_MAX = 10_000_000

_SPREAD = 1.0  # of the logarithm of a length: the longest of a hundred is ten times the middle one


class Lengths(Protocol):
    """A distribution of counts of tokens."""

    def draw(self, rng: Random) -> int:
        """A length, at least 1."""
        ...


@dataclass(frozen=True, slots=True)
class LogNormal:
    """Log-normal with this mean."""

    mean: float

    def draw(self, rng: Random) -> int:
        """See Lengths."""
        return max(1, round(rng.lognormvariate(math.log(self.mean) - _SPREAD**2 / 2, _SPREAD)))


@dataclass(frozen=True, slots=True)
class Curve:
    """By the cumulated shares of lengths, rising to 1; between two points by a straight line."""

    tokens: tuple[float, ...]
    shares: tuple[float, ...]

    def draw(self, rng: Random) -> int:
        """See Lengths."""
        share = rng.random()
        index = bisect_left(self.shares, share)
        if index == 0:
            return max(1, round(self.tokens[0]))
        below, above = self.shares[index - 1], self.shares[index]
        part = (share - below) / (above - below)
        least, most = self.tokens[index - 1], self.tokens[index]
        return max(1, round(least + part * (most - least)))


def lengths_of(text: str) -> Lengths:
    """What an option says: a mean, or a CSV file of tokens and cumulated percent.

    ValueError for anything else.
    """
    try:
        mean = float(text)
    except ValueError:
        path = Path(text)
        if not path.exists():
            message = f"expected a mean number of tokens or a CSV file, and found no file {text}"
            raise ValueError(message) from None
        return _curve(path)
    if not 1 <= mean <= TOKENS_MAX:
        raise ValueError(f"expected a mean of 1 to {TOKENS_MAX} tokens, found {text}")
    return LogNormal(mean)


def read_columns(path: Path) -> tuple[str, list[tuple[float, float]]]:
    """The first column's name, and the first two columns. Lines that begin with # are comments.

    ValueError for a file that is not CSV of numbers with a header.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.reader(file) if row and not row[0].startswith("#")]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: cannot be read: {error}") from error
    try:
        found = [(float(row[0]), float(row[1])) for row in rows[1:]]
    except (ValueError, IndexError) as error:
        raise ValueError(f"{path}: expected rows of two numbers: {error}") from error
    if not all(math.isfinite(number) for row in found for number in row):
        raise ValueError(f"{path}: expected finite numbers")
    return (rows[0][0].strip() if rows else ""), found


def _curve(path: Path) -> Curve:
    _, rows = read_columns(path)
    tokens = [one for one, _ in rows]
    percents = _rising([percent for _, percent in rows])
    if len(rows) < 2 or any(later <= one for one, later in pairwise(tokens)) or percents[-1] <= 0:
        raise ValueError(f"{path}: expected tokens in rising order, and their cumulated percent")
    return Curve(tuple(tokens), tuple(percent / percents[-1] for percent in percents))


def _rising(values: Sequence[float]) -> list[float]:
    """The same where each is at least the one before it: curves read off plots are noisy."""
    found: list[float] = []
    for value in values:
        found.append(max(value, found[-1] if found else 0.0))
    return found
