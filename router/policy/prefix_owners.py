"""Which endpoint each prefix was last sent to, over the whole fleet.

A fleet with many endpoints cannot ask each of their indexes (`router.policy.prefix`) for every
request. This one table names the endpoint that most recently got the longest known prefix of a
prompt, so that it is among those that are judged. Bounded by two generations, like the indexes.
"""

from router.policy.prefix import POSITIONS


class PrefixOwners:
    """From the marks of prompts to endpoint names."""

    __slots__ = ("_half", "_old", "_young")

    def __init__(self, marks_max: int) -> None:
        self.resize(marks_max)
        self._young: dict[int, str] = {}
        self._old: dict[int, str] = {}

    def resize(self, marks_max: int) -> None:
        """So many are remembered from the next generation on."""
        self._half = max(1, marks_max // 2)

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def add(self, marks: list[int], endpoint: str) -> None:
        """A prompt with these marks was sent to this endpoint."""
        if len(self._young) >= self._half:
            self._old = self._young
            self._young = {}
        self._young.update(dict.fromkeys(marks, endpoint))

    def find(self, marks: list[int], shared_blocks: int) -> str | None:
        """The endpoint that last got the longest known prefix longer than what everybody shares."""
        young, old = self._young, self._old
        low, high = -1, len(marks)
        while high - low > 1:
            middle = (low + high) // 2
            if marks[middle] in young or marks[middle] in old:
                low = middle
            else:
                high = middle
        if low < 0 or POSITIONS[low] <= shared_blocks:
            return None
        mark = marks[low]
        return young[mark] if mark in young else old[mark]
