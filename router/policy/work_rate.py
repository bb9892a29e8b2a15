"""How much work a queue gives up in a time, and how much it is asked for.

Both are counted only while something waits: otherwise the rate is that of the demand, and says
nothing of what the endpoints could do. The clock stops when the queue is empty and goes on with the
next wait, so a surge begins with what the one before it taught.
"""

from math import exp

from router.policy.units import NS_PER_S

_TAU_NS = 2.0 * NS_PER_S  # endpoints come and go
_KNOWN_NS = NS_PER_S // 4  # of waiting, before anything is said


class WorkRate:
    """Work sent and work asked for, over the last seconds in which something waited."""

    __slots__ = ("_asked", "_at", "_elapsed_ns", "_sent")

    def __init__(self) -> None:
        self._sent = 0.0
        self._asked = 0.0
        self._elapsed_ns = 0.0
        self._at: int | None = None  # None: the clock stands

    def resume(self, now: int) -> None:
        """Something waits."""
        self._at = now

    def pause(self, now: int) -> None:
        """Nothing waits any more."""
        self._advance(now)
        self._at = None

    def add_sent(self, work: float, now: int) -> None:
        """A request that waited was sent."""
        self._advance(now)
        self._sent += work

    def add_asked(self, work: float, now: int) -> None:
        """A request came while others waited, whatever becomes of it."""
        self._advance(now)
        self._asked += work

    def per_ns_at(self, now: int) -> float | None:
        """Work sent for each nanosecond of waiting; None while too little is known."""
        decay, elapsed_ns = self._aged(now)
        if elapsed_ns < _KNOWN_NS or not self._sent:
            return None
        return self._sent * decay / (_TAU_NS * (1.0 - exp(-elapsed_ns / _TAU_NS)))

    def overload(self) -> float:
        """How many times as much is asked for as is sent; at least 1."""
        return max(1.0, self._asked / self._sent) if self._sent else 1.0

    def _aged(self, now: int) -> tuple[float, float]:
        passed_ns = max(0, now - self._at) if self._at is not None else 0
        return exp(-passed_ns / _TAU_NS), self._elapsed_ns + passed_ns

    def _advance(self, now: int) -> None:
        decay, self._elapsed_ns = self._aged(now)
        self._sent *= decay
        self._asked *= decay
        if self._at is not None:
            self._at = max(self._at, now)
