"""The story's phases, and the sessions that arrive in each, sized to what this machine measured.

Home has a few slots (sequences its engine decodes at once), the rented site has many, and both run
on the same cores. The surge asks for more than twice what home serves while the rented site is
idle, as it is when the surge begins: sized by what home serves beside a busy one, home alone could
absorb it. It asks for less than both sites serve where they serve that much, so that queues end
when it does.

The rented site has one engine, as each more costs half a minute of a small machine. So the loss of
it comes last, in a short surge of its own: home is seen to take the work back while the rented
site could still do it.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from benchmarks.workloads import arrivals
from benchmarks.workloads.plan import Session
from benchmarks.workloads.sessions import Shape, sessions

TURNS_MEAN = 2.0
THINK_S_MEAN = 0.8
TURN_S = 0.5  # a turn is given as many tokens as a busy home takes this long for
OUTPUT_TOKENS_MIN, OUTPUT_TOKENS_MAX = 12, 240
PROMPT_TOKENS = 48
CALM_LOAD = 0.4  # of what home serves beside a busy rented site
SURGE_LOAD_MIN, SURGE_LOAD_MAX = 2.2, 2.6  # of what home serves alone: later turns come late
SURGE_SHARE = 0.6  # of what both sites serve; the rest is for the router, its clients and a loss
ARRIVALS_CV = 0.5  # rather even: a chance burst neither overflows calm nor outlasts the surge
OBJECTIVE_TTFT_MIN_S, OBJECTIVE_TTFT_MAX_S = 1.0, 8.0
OBJECTIVE_PER_IDLE_TTFT = 10.0  # far above what calm sees, far below what the surge's queue makes


@dataclass(frozen=True, slots=True)
class Calibration:
    """What this machine does: one stream on an idle site, home busy alone, both sites busy."""

    idle_ttft_s: float
    home_slots: int
    alone_tokens_per_s: float  # home, while the rented site is idle
    home_tokens_per_s: float  # home, while the rented site is busy too
    rented_tokens_per_s: float

    @property
    def output_tokens(self) -> int:
        """Tokens of a turn that keeps a slot of a busy home for about `TURN_S`."""
        wanted = round(TURN_S * self.home_tokens_per_s / self.home_slots)
        return min(OUTPUT_TOKENS_MAX, max(OUTPUT_TOKENS_MIN, wanted))

    @property
    def home_turns_per_s(self) -> float:
        """Turns that a busy home serves per second."""
        return self.home_tokens_per_s / self.output_tokens

    @property
    def surge_load(self) -> float:
        """The surge's demand as a multiple of what a busy home serves."""
        both = self.home_tokens_per_s + self.rented_tokens_per_s
        alone = max(self.alone_tokens_per_s, self.home_tokens_per_s)
        least, most = SURGE_LOAD_MIN * alone, SURGE_LOAD_MAX * alone
        return min(most, max(least, SURGE_SHARE * both)) / self.home_tokens_per_s

    @property
    def objective_ttft_s(self) -> float:
        """The time to first token that the story's service class promises."""
        wanted = OBJECTIVE_PER_IDLE_TTFT * self.idle_ttft_s
        return min(OBJECTIVE_TTFT_MAX_S, max(OBJECTIVE_TTFT_MIN_S, wanted))


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of the story."""

    name: str
    begins_s: float
    duration_s: float

    @property
    def ends_s(self) -> float:
        """Offset at which the next one begins."""
        return self.begins_s + self.duration_s


CALM = Phase("calm", 0.0, 4.0)
SURGE = Phase("surge", CALM.ends_s, 6.0)
CALM_AGAIN = Phase("calm again", SURGE.ends_s, 12.0)
LOSS = Phase("loss", CALM_AGAIN.ends_s, 2.5)  # surges again, and the rented engine is killed
PHASES = (CALM, SURGE, CALM_AGAIN, LOSS)
SURGES = (SURGE, LOSS)


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
        load = calibration.surge_load if phase in SURGES else CALM_LOAD
        rate = arrivals.constant(load * calibration.home_turns_per_s / TURNS_MEAN)
        found = sessions(
            arrivals.gamma(rate, ARRIVALS_CV, rng),
            shape,
            rng=rng,
            duration_s=phase.duration_s,
            phase=phase.name,
        )
        for session in found:
            yield replace(session, at_s=phase.begins_s + session.at_s)
