"""A heap whose entries may leave from its middle.

An entry that left is marked, and skipped when it comes to the top. Once the marked are more than
the others the heap is made anew, so it is never more than twice as large as what it holds.
"""

import heapq
from typing import Generic, Protocol, TypeVar


class Leaving(Protocol):
    """An entry that says whether it has left."""

    over: bool


Entry = TypeVar("Entry", bound=Leaving)

_FEW = 16


class LazyHeap(Generic[Entry]):
    """Entries by their keys, the least first; of equal keys the one that came first."""

    __slots__ = ("_count", "_heap", "_live")

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Entry]] = []
        self._live = 0
        self._count = 0

    def __len__(self) -> int:
        return self._live

    def push(self, key: int, entry: Entry) -> None:
        """An entry joins."""
        self._count += 1
        self._live += 1
        heapq.heappush(self._heap, (key, self._count, entry))

    def first(self) -> tuple[int, Entry] | None:
        """The least key and its entry; None if there is none."""
        heap = self._heap
        while heap and heap[0][2].over:
            heapq.heappop(heap)
        return (heap[0][0], heap[0][2]) if heap else None

    def last(self) -> Entry:
        """The entry that came last among those of the greatest key. ValueError if there is none.

        It looks at all of them.
        """
        return max(one for one in self._heap if not one[2].over)[2]

    def left(self) -> None:
        """An entry of this heap was marked as over."""
        self._live -= 1
        if len(self._heap) > 2 * self._live + _FEW:
            self._heap = [one for one in self._heap if not one[2].over]
            heapq.heapify(self._heap)
