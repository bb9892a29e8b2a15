"""The virtual clock and its heap of events. Equal times keep the order in which they were set."""

import heapq
from collections.abc import Callable
from typing import Any


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

    def run(self) -> None:
        """Run until nothing is set."""
        events = self._events
        while events:
            self.now, _order, call, arguments = heapq.heappop(events)
            call(*arguments)
