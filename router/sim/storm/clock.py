"""A virtual clock that can jump, as a clock does for a process that was not run for a while."""

import heapq

from router.sim.clock import Clock


class JumpingClock(Clock):
    """What was due within a jump comes after it, in its order; time never goes back."""

    def jump(self, span_ns: int) -> None:
        """So much time passes at once."""
        self.now += span_ns

    def run(self) -> None:
        """Run until nothing is set."""
        events = self._events
        while events:
            at_ns, _order, call, arguments = heapq.heappop(events)
            self.now = max(self.now, at_ns)
            call(*arguments)
