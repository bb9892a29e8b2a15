"""How many requests can be served at most: the dual of a linear program, at prices that are sought.

Each second of each kind of replica gets a price. A request that can be served pays the least it can
for its prefill and its decode, each anywhere in its window, at the kind of replica where both cost
the least; it is worth 1. Whatever the prices, no schedule serves more than

    sum of capacity * price + sum over requests of max(0, 1 - the least it pays)

(weak duality). The best prices make that as small as it can be. They are sought by gradient steps
(Adam) on a smooth form of it, with a soft minimum over slots drawn from each window. The value is
that of the exact form, so a poor search gives a weaker bound and never a wrong one.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Slots = NDArray[np.int64]

SLOT_S = 0.25
"""Prices are constant for so long. A window that touches a slot has all of it: a wider bound."""

_STEPS = 160
_LOOK_EVERY = 10
_DRAWN = 12  # slots of a window, in which its least price is looked for
_FIRST_STEP, _LAST_STEP = 0.3, 0.02  # in the logarithm of prices
_SHARPNESS = 12.0  # of the soft minimum; a request is worth 1
_MEAN, _SQUARE = 0.8, 0.98  # how much Adam keeps of the gradient's mean and of its square's
_CHEAP = 0.02  # of what a mean request is worth: the prices that the search begins with
_TINY = 1e-12


@dataclass(frozen=True, slots=True)
class Demand:
    """Requests, one a column; of the two-dimensional ones a row is a kind of replica. Seconds."""

    begins_s: Array
    first_by_s: Array
    last_by_s: Array
    prefill_s: Array
    decode_s: Array


def served_at_most(demand: Demand, capacity: Array, seed: int = 1) -> float:
    """A bound on the requests that can be served; `capacity` is by kind and slot, in seconds."""
    search = _Search(demand, capacity)
    least = float(len(demand.begins_s))  # at prices of zero
    return min(least, *(search.value(prices) for prices in search.prices(seed)))


class _Search:
    def __init__(self, demand: Demand, capacity: Array) -> None:
        self._capacity = capacity
        self._begin: Slots = (demand.begins_s / SLOT_S).astype(np.int64)
        first, last = (
            np.minimum((by_s / SLOT_S).astype(np.int64), capacity.shape[1] - 1)
            for by_s in (demand.first_by_s, demand.last_by_s)
        )
        self._parts = ((first, demand.prefill_s), (last, demand.decode_s))

    def value(self, prices: Array) -> float:
        """The dual's value."""
        paid = np.full(len(self._begin), np.inf)
        for kind, of_kind in enumerate(prices):
            table = _minima(of_kind)
            cost = np.zeros(len(self._begin))
            for end, work in self._parts:
                cost += work[kind] * _least_within(table, self._begin, end)
            paid = np.minimum(paid, cost)
        return float((self._capacity * prices).sum() + np.maximum(0.0, 1.0 - paid).sum())

    def prices(self, seed: int) -> Iterator[Array]:
        """Ever better ones, as a rule."""
        rng = np.random.default_rng(seed)
        work = np.mean([np.min(sum(w for _, w in self._parts), axis=0).mean()])
        logs = np.full(self._capacity.shape, np.log(_CHEAP / max(work, _TINY)))
        mean, square = np.zeros_like(logs), np.zeros_like(logs)
        for step in range(1, _STEPS + 1):
            prices = np.exp(logs)
            slope = self._slope(prices, rng) * prices
            mean += (1.0 - _MEAN) * (slope - mean)
            square += (1.0 - _SQUARE) * (slope * slope - square)
            size = _FIRST_STEP * (_LAST_STEP / _FIRST_STEP) ** (step / _STEPS)
            root = np.sqrt(square / (1.0 - _SQUARE**step)) + _TINY
            logs -= size * mean / (1.0 - _MEAN**step) / root
            if step % _LOOK_EVERY == 0:
                yield np.exp(logs)

    def _slope(self, prices: Array, rng: np.random.Generator) -> Array:
        """Of the smooth form, by price."""
        kinds, slots = prices.shape
        costs, shares = [], []
        drawn = [self._draw(end, rng) for end, _ in self._parts]
        for kind in range(kinds):
            cost = np.zeros(len(self._begin))
            of_kind = []
            for chosen, (_, work) in zip(drawn, self._parts, strict=True):
                share, least = _soft_least(work[kind][:, None] * prices[kind][chosen])
                of_kind.append(share)
                cost += least
            costs.append(cost)
            shares.append(of_kind)
        by_kind, paid = _soft_least(np.stack(costs, axis=1))
        served = 1.0 / (1.0 + np.exp(np.clip(-_SHARPNESS * (1.0 - paid), -50.0, 50.0)))
        slope = self._capacity.copy()
        for kind in range(kinds):
            wanted = served * by_kind[:, kind]
            for chosen, share, (_, work) in zip(drawn, shares[kind], self._parts, strict=True):
                used = (wanted * work[kind])[:, None] * share
                slope[kind] -= np.bincount(chosen.ravel(), used.ravel(), slots)
        return slope

    def _draw(self, end: Slots, rng: np.random.Generator) -> Slots:
        """Slots spread over each window, other ones each time."""
        places = (np.arange(_DRAWN) + rng.random((len(end), _DRAWN))) / _DRAWN
        return self._begin[:, None] + (places * (end - self._begin + 1)[:, None]).astype(np.int64)


def _soft_least(costs: Array) -> tuple[Array, Array]:
    """By row: the share of each column in the soft minimum, and that minimum."""
    weights = np.exp(-_SHARPNESS * (costs - costs.min(axis=1, keepdims=True)))
    shares = weights / weights.sum(axis=1, keepdims=True)
    return shares, (shares * costs).sum(axis=1)


def _minima(values: Array) -> list[Array]:
    """The least of each run of 1, 2, 4... values."""
    table = [values]
    while 2 ** len(table) <= len(values):
        half = 2 ** (len(table) - 1)
        table.append(np.minimum(table[-1][:-half], table[-1][half:]))
    return table


def _least_within(table: list[Array], begin: Slots, end: Slots) -> Array:
    """The least value from `begin` to `end`, both included."""
    power = np.log2(end - begin + 1).astype(int)
    least = np.empty(len(begin))
    for level, row in enumerate(table):
        at = power == level
        least[at] = np.minimum(row[begin[at]], row[end[at] - 2**level + 1])
    return least
