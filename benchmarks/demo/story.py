"""The story's phases, and the sessions that arrive in each, sized to what this machine measured.

Home has a few slots (sequences its engine decodes at once), so it is full long before the machine
is: that leaves the rented site, on the same cores here, room to be faster. The surge asks for
several times what home's slots can serve, whatever a slot serves on this machine.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from benchmarks.workloads import arrivals
from benchmarks.workloads.plan import Session
from benchmarks.workloads.sessions import Shape, sessions

TURNS_MEAN = 2.0
THINK_S_MEAN = 0.8
TURN_S = 1.5  # a turn is given as many tokens as a full home takes this long for
OUTPUT_TOKENS_MIN, OUTPUT_TOKENS_MAX = 12, 160
PROMPT_TOKENS = 48
CALM_LOAD, SURGE_LOAD = 0.35, 2.5  # of what home's slots can serve
CALM_CV, SURGE_CV = 0.5, 1.0  # calm arrivals are even, so that a chance burst does not overflow
OBJECTIVE_TTFT_MIN_S, OBJECTIVE_TTFT_MAX_S = 1.0, 8.0
OBJECTIVE_PER_IDLE_TTFT = 10.0  # far above what calm sees, far below what the surge's queue makes


@dataclass(frozen=True, slots=True)
class Calibration:
    """What this machine does, in seconds."""

    home_slots: int
    idle_ttft_s: float  # of one stream on an idle site
    busy_itl_s: float  # between two tokens of a stream when both sites' slots are full

    @property
    def output_tokens(self) -> int:
        """Tokens of a turn that keeps a slot for about `TURN_S`."""
        wanted = round(TURN_S / max(self.busy_itl_s, 1e-3))
        return min(OUTPUT_TOKENS_MAX, max(OUTPUT_TOKENS_MIN, wanted))

    @property
    def home_turns_per_s(self) -> float:
        """Turns that home's slots serve per second."""
        turn_s = self.idle_ttft_s + self.output_tokens * self.busy_itl_s
        return self.home_slots / turn_s

    @property
    def objective_ttft_s(self) -> float:
        """The time to first token that the story's service class promises."""
        wanted = OBJECTIVE_PER_IDLE_TTFT * self.idle_ttft_s
        return min(OBJECTIVE_TTFT_MAX_S, max(OBJECTIVE_TTFT_MIN_S, wanted))


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of the story; `load` is the demand as a multiple of what home can serve."""

    name: str
    begins_s: float
    duration_s: float
    load: float
    cv: float

    @property
    def ends_s(self) -> float:
        """Offset at which the next one begins."""
        return self.begins_s + self.duration_s


CALM = Phase("calm", 0.0, 8.0, CALM_LOAD, CALM_CV)
SURGE = Phase("surge", CALM.ends_s, 12.0, SURGE_LOAD, SURGE_CV)
CALM_AGAIN = Phase("calm again", SURGE.ends_s, 16.0, CALM_LOAD, CALM_CV)
PHASES = (CALM, SURGE, CALM_AGAIN)


def phase_at(offset_s: float) -> Phase:
    """The phase an offset lies in; the last one goes on until its streams end."""
    return next((phase for phase in PHASES if offset_s < phase.ends_s), PHASES[-1])


def plan(calibration: Calibration, rng: random.Random) -> Iterator[Session]:
    """Every session of the story, in the order of their offsets."""
    shape = Shape(
        turns_mean=TURNS_MEAN,
        turns_max=4,
        think_s_mean=THINK_S_MEAN,
        prompt_tokens=PROMPT_TOKENS,
        output_tokens=calibration.output_tokens,
    )
    for phase in PHASES:
        rate = arrivals.constant(phase.load * calibration.home_turns_per_s / TURNS_MEAN)
        found = sessions(
            arrivals.gamma(rate, phase.cv, rng),
            shape,
            rng=rng,
            duration_s=phase.duration_s,
            phase=phase.name,
        )
        for session in found:
            yield replace(session, at_s=phase.begins_s + session.at_s)
