"""When the messages of a stream are due."""

from dataclasses import dataclass
from typing import Literal

Shape = Literal["spread", "bursts"]


@dataclass(frozen=True, slots=True)
class Pace:
    """An interval, and whose grid it makes. An interval of 0 is a saturated stream.

    `spread`: each stream has its own grid, begun by its first message. `bursts`: all streams share
    one grid, as the steps of an engine make it.
    """

    interval_s: float
    shape: Shape = "spread"

    def first_due(self, now: float) -> float:
        """The time of the message after the first, on the clock of `now`, in seconds."""
        if self.shape == "spread":
            return now + self.interval_s
        return (now // self.interval_s + 1) * self.interval_s
