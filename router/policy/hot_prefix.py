"""How much of a prompt nearly every request shares: a system prompt, most often.

An endpoint that has such a prefix cached is no better a place for a request than one that will have
it after its first. Counted as an advantage, it would glue the whole load to the endpoint that
happened to serve first. So its tokens carry no weight in placement.

Counts are kept for the marks of `router.policy.prefix`, shortest first, and only as far as a prompt
stays on a well-trodden path; all counts are halved every `_PERIOD` requests and the small ones are
dropped, so the table stays small and follows the traffic.
"""

from router.policy.prefix import POSITIONS

_PERIOD = 512
_MARKS_MAX = 2_048
_KNOWN_AFTER = 16  # requests before anything counts as shared
_TRODDEN = 8  # a path is followed from an eighth of the share at which it counts as shared


class HotPrefix:
    """The share of recent requests that begins with each prefix."""

    __slots__ = ("_counts", "_requests", "share")

    def __init__(self, share: float) -> None:
        self.share = share
        self._counts: dict[int, float] = {}
        self._requests = 0.0

    def __len__(self) -> int:
        return len(self._counts)

    def add(self, marks: list[int]) -> None:
        """A request with these marks was sent."""
        self._requests += 1.0
        counts = self._counts
        least = self._requests * self.share / _TRODDEN
        for mark in marks:
            count = counts.get(mark, 0.0) + 1.0
            if count > 1.0 or len(counts) < _MARKS_MAX:
                counts[mark] = count
            if count < least:
                break
        if self._requests >= _PERIOD:
            self._halve()

    def shared_blocks(self, marks: list[int]) -> int:
        """How many leading blocks of a prompt with these marks nearly all requests share."""
        if self._requests < _KNOWN_AFTER:
            return 0
        least = self._requests * self.share
        blocks = 0
        for index, mark in enumerate(marks):
            if self._counts.get(mark, 0.0) < least:
                break
            blocks = POSITIONS[index]
        return blocks

    def _halve(self) -> None:
        self._requests /= 2
        self._counts = {mark: count / 2 for mark, count in self._counts.items() if count > 2.0}
