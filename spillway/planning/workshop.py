"""Where plans are tried: in this process, or in a few beside it."""

import multiprocessing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from router.policy.fleet import Fleet
from router.policy.units import ns
from spillway.planning.demand import Demand
from spillway.planning.offer import Offer
from spillway.planning.trial import Trial, attempt


@dataclass(frozen=True, slots=True)
class _Task:
    """What is the same for every plan."""

    fleet: Fleet
    offers: Sequence[Offer]
    demand: Demand
    notice_ns: int

    def attempt(self, replicas: Mapping[str, int]) -> Trial:
        """Try one plan."""
        return attempt(self.fleet, self.offers, replicas, self.demand, self.notice_ns)


class Workshop:
    """Tries plans while it is entered. With one process it starts none."""

    def __init__(
        self,
        fleet: Fleet,
        offers: Sequence[Offer],
        demand: Demand,
        notice_s: float,
        processes: int,
    ) -> None:
        self._task = _Task(fleet, offers, demand, ns(notice_s))
        self._processes = processes
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        if self._processes > 1:
            # Fresh interpreters: a fork would copy threads and locks of whoever plans.
            self._pool = ProcessPoolExecutor(
                self._processes,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_begin,
                initargs=(self._task,),
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def attempts(self, plans: Iterable[Mapping[str, int]]) -> Iterator[Trial]:
        """What comes of each, in their order."""
        if self._pool is None:
            return map(self._task.attempt, plans)
        return self._pool.map(_attempt, plans)


_given: list[_Task] = []
"""In a process of a pool, its task: it is sent there once, and not with every plan."""


def _begin(task: _Task) -> None:
    _given.append(task)


def _attempt(replicas: Mapping[str, int]) -> Trial:
    return _given[0].attempt(replicas)
