"""Which prefixes each endpoint has cached, by the hashes of their blocks.

Hashes are chained: the hash of a block stands for the whole prompt up to its end, so a cached
prefix is found by looking for its last block alone. Of a long prompt only the blocks at certain
positions, its marks, are looked at: every other one of the first 16, then 8 for each doubling. A
prompt of 100,000 tokens has 78 marks instead of 6,250, a match is found to within an eighth of its
length, and two prompts that share a prefix share its marks. A radix tree finds the exact length,
at a cost in memory and time that grows with every token.

The index of an endpoint is bounded by two generations. Blocks that are used move to the young one;
when it is full, or has aged, it becomes the old one and the old one is forgotten. What an endpoint
reports about its cache corrects what the router guessed from its own dispatches.
"""

from bisect import bisect_right
from collections.abc import Sequence

_FIRST = 16
_PER_DOUBLING = 8
_DOUBLINGS = 12  # up to 65,536 blocks, a million tokens; what lies beyond is not looked at


POSITIONS: tuple[int, ...] = tuple(
    [1, *range(2, _FIRST + 1, 2)]
    + [
        (_FIRST << doubling) + step * ((_FIRST << doubling) // _PER_DOUBLING)
        for doubling in range(_DOUBLINGS)
        for step in range(1, _PER_DOUBLING + 1)
    ]
)
"""How many blocks each mark's prefix has, in ascending order."""


def marks_of(prefix: tuple[int, ...]) -> list[int]:
    """The hashes of a prompt at its marks, shortest prefix first."""
    marks = bisect_right(POSITIONS, len(prefix))
    return [prefix[position - 1] for position in POSITIONS[:marks]]


class PrefixIndex:
    """The blocks that one endpoint is thought to have cached."""

    __slots__ = ("_age_max_ns", "_half", "_old", "_turned_ns", "_young")

    def __init__(self, blocks_max: int, age_max_ns: int) -> None:
        self.resize(blocks_max, age_max_ns)
        self._young: set[int] = set()
        self._old: set[int] = set()
        self._turned_ns = 0

    def resize(self, blocks_max: int, age_max_ns: int) -> None:
        """So many are remembered, for so long, from the next generation on."""
        self._half = max(1, blocks_max // 2)
        self._age_max_ns = age_max_ns

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def matched(self, marks: list[int]) -> int:
        """How many blocks of a prompt with these marks are cached here.

        A longer prefix is cached only if the shorter ones are, as engines evict from the tail, so
        the longest is found by bisection.
        """
        young, old = self._young, self._old
        if not marks or (marks[0] not in young and marks[0] not in old):
            return 0
        low, high = 0, len(marks)
        while high - low > 1:
            middle = (low + high) // 2
            if marks[middle] in young or marks[middle] in old:
                low = middle
            else:
                high = middle
        return POSITIONS[low]

    def add(self, blocks: Sequence[int], now: int) -> None:
        """The endpoint caches these blocks, or is about to."""
        if now - self._turned_ns > self._age_max_ns // 2:
            self._turn(now)
        self._young.update(blocks)
        self._old.difference_update(blocks)
        if len(self._young) >= self._half:
            self._turn(now)

    def remove(self, blocks: Sequence[int]) -> None:
        """The endpoint has evicted these blocks."""
        self._young.difference_update(blocks)
        self._old.difference_update(blocks)

    def clear(self) -> None:
        """The endpoint's cache is empty."""
        self._young.clear()
        self._old.clear()

    def _turn(self, now: int) -> None:
        self._old = self._young
        self._young = set()
        self._turned_ns = now
