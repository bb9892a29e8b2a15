"""The prefixes that a router last sent to its endpoints, told to the router above as changes.

A router above wants to know what is cached below, and cannot be told every block of every engine:
it gets the marks (`router.policy.prefix`) of the prompts that were sent most recently, so many and
no more. A mark is taken back when its endpoint says that it has evicted the block, when the
endpoint goes or starts again, and when newer ones take its place.

Each change has a number, and who has heard of all up to one asks for those after it. Changes are
kept for as long as a watcher may be behind; one that is further behind is told everything anew.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable
from itertools import islice
from typing import NamedTuple

from router.policy.load import LoadReport

_CHANGES_MAX = 8_192


class Changes(NamedTuple):
    """What has changed in the set of marks since a watcher last asked."""

    reset: bool  # forget all that was said before
    added: tuple[int, ...]
    removed: tuple[int, ...]
    number: int  # to ask from the next time


class CachedPrefixes:
    """Marks by the endpoint they were last sent to, the most recent last."""

    __slots__ = ("_at", "_changes", "_number", "_wanted", "marks_max")

    def __init__(self, marks_max: int) -> None:
        self.marks_max = marks_max
        self._at: OrderedDict[int, str] = OrderedDict()
        self._changes: deque[int] = deque(maxlen=_CHANGES_MAX)  # marks that came or went
        self._number = 1  # 0 is who knows nothing
        self._wanted = False

    def __len__(self) -> int:
        return len(self._at)

    def add(self, marks: list[int], endpoint: str) -> None:
        """A prompt with these marks, the shortest first, is sent to an endpoint."""
        if not self._wanted:
            return  # no router is above
        at = self._at
        for mark in reversed(marks):  # a longer prefix is worth nothing without the shorter ones
            if mark in at:
                at.move_to_end(mark)
            else:
                self._change(mark)
            at[mark] = endpoint
        while len(at) > self.marks_max:
            mark, _ = at.popitem(last=False)
            self._change(mark)

    def hear(self, report: LoadReport, before: LoadReport | None) -> None:
        """What an endpoint says of its cache; `before` is what it said last."""
        restarted = before is not None and before.instance != report.instance
        if restarted or report.prefix_reset:
            self.forget(report.endpoint)
        for block in report.prefix_removed:
            if self._at.get(block) == report.endpoint:
                self._drop((block,))

    def forget(self, endpoint: str) -> None:
        """An endpoint's cache is gone."""
        self._drop([mark for mark, where in self._at.items() if where == endpoint])

    def changes_since(self, number: int) -> Changes:
        """What is new since the change of this number; 0 for somebody who knows nothing."""
        self._wanted = True
        behind = self._number - number
        if number == 0 or not 0 <= behind <= len(self._changes):
            return Changes(True, tuple(reversed(self._at)), (), self._number)
        recent = set(islice(reversed(self._changes), behind))
        added = tuple(mark for mark in recent if mark in self._at)
        removed = tuple(mark for mark in recent if mark not in self._at)
        return Changes(False, added, removed, self._number)

    def _drop(self, marks: Iterable[int]) -> None:
        for mark in marks:
            del self._at[mark]
            self._change(mark)

    def _change(self, mark: int) -> None:
        self._changes.append(mark)
        self._number += 1
