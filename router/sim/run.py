"""Steps of an engine that need no look at its jobs, summed in closed form."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from router.sim.job import Job


@dataclass(slots=True)
class Run:
    """Steps under way: `steps` of them that only decode, or one that also prefills `chunks`.

    Each sequence gains a token of context a step, so step times are an arithmetic series.
    """

    begun_ps: int
    end_ps: int
    steps: int
    first_ps: int  # duration of the first step
    growth_ps: int  # by which each further step is longer
    chunks: Sequence[tuple[Job, int]] = ()  # and where each chunk ends
    blocks_taken: bool = True  # a run of many steps takes them when it is known how many it had

    def duration_ps(self, steps: int) -> int:
        """How long the first `steps` steps last."""
        return self.first_ps * steps + self.growth_ps * (steps * (steps - 1) // 2)

    def steps_until(self, duration_ps: int) -> int:
        """The fewest steps that last at least `duration_ps`, and at least one."""
        half = self.growth_ps / 2
        linear = self.first_ps - half
        if half:
            root = math.sqrt(linear * linear + 4 * half * duration_ps)
            steps = int((root - linear) / (2 * half))
        else:
            steps = duration_ps // self.first_ps
        steps = max(1, steps - 1)  # the float may be off by one either way
        while self.duration_ps(steps) < duration_ps:
            steps += 1
        return steps

    def slow_steps(self, slow_ps: int) -> int:
        """How many of the steps last longer than `slow_ps`."""
        if self.first_ps > slow_ps:
            return self.steps
        if not self.growth_ps:
            return 0
        return max(0, self.steps - 1 - (slow_ps - self.first_ps) // self.growth_ps)
