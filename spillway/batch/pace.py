"""How many requests of a batch are open at a time: as many as nobody minds.

The router serves the batch's class after all others, and says RESOURCE_EXHAUSTED when there is no
room for it. So one more is opened for each round of answers, as congestion control has it, and
fewer when one is refused: at most once for what was sent before the last time.
"""

from typing import Final

_FEWER: Final = 0.7
_FIRST: Final = 4


class Pace:
    """A limit that follows what the service has room for. Times are seconds of any one clock."""

    def __init__(self, most: int) -> None:
        """`most` is what it never goes beyond, at least 1."""
        self._most = most
        self._limit = float(min(_FIRST, most))
        self._cut_s = float("-inf")  # when it was lowered last
        self.resume_s = float("-inf")  # before which nothing is sent

    @property
    def limit(self) -> int:
        """How many may be open."""
        return max(1, int(self._limit))

    def on_answer(self, *, full: bool) -> None:
        """One was served; `full` tells that as many were open as may be."""
        if full:
            self._limit = min(self._most, self._limit + 1 / self._limit)

    def on_refusal(self, sent_s: float, now_s: float, retry_after_s: float) -> None:
        """One that was sent then was refused, and nothing should come for this long."""
        self.resume_s = max(self.resume_s, now_s + retry_after_s)
        if sent_s > self._cut_s:
            self._limit = max(1.0, self._limit * _FEWER)
            self._cut_s = now_s
