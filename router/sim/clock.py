"""The virtual clock and its heap of events.

Equal times keep the order in which they were set, but for what comes last in its instant: a step of
an engine, which sees all that arrives up to its beginning.
"""

import heapq
from collections.abc import Callable
from typing import Any

_LAST = 1 << 60  # above any number of events


class Clock:
    """Time in integer nanoseconds; it moves only from event to event."""

    def __init__(self) -> None:
        self.now = 0
        self._events: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._set = 0

    def at(self, time_ns: int, call: Callable[..., None], *arguments: object) -> None:
        """Call at `time_ns`, or at once after what is set already where that is past."""
        self._set += 1
        heapq.heappush(self._events, (max(time_ns, self.now), self._set, call, arguments))

    def last_at(self, time_ns: int, call: Callable[..., None], *arguments: object) -> None:
        """Call at `time_ns`, after everything else of that time."""
        self._set += 1
        order = _LAST + self._set
        heapq.heappush(self._events, (max(time_ns, self.now), order, call, arguments))

    def run(self) -> None:
        """Run until nothing is set."""
        events = self._events
        while events:
            self.now, _order, call, arguments = heapq.heappop(events)
            call(*arguments)
