"""Recent latency and spending of every site, so that a page just opened has a past to draw."""

from collections import deque
from typing import Final

from router.faces.page.frame import latency
from router.policy.units import NS_PER_S
from wire.spillway.v1 import fleet_pb2 as pb

SAMPLE_S: Final = 2.0
"""Between samples: percentiles are of the last one to two minutes."""

SAMPLES_MAX: Final = 450
"""A quarter of an hour; 16 sites take some 3 MB."""


class History:
    """Samples of the state, oldest first."""

    def __init__(self) -> None:
        self._samples: deque[list[object]] = deque(maxlen=SAMPLES_MAX)
        self._last_s = 0.0

    def add(self, state: pb.FleetState) -> bool:
        """Takes a sample if one is due; says whether it did."""
        at_s = state.sampled_unix_ns / NS_PER_S
        # A wall clock that was set back begins anew; half a period is the grain of whoever calls.
        if 0 <= at_s - self._last_s < SAMPLE_S * 0.9:
            return False
        self._last_s = at_s
        sites = [[*latency(site), round(site.cost_usd, 6)] for site in state.sites]
        self._samples.append([round(at_s, 1), sites])
        return True

    def samples(self) -> list[list[object]]:
        """The time in Unix seconds, and figures of every site.

        These are TTFT p50 and p99, ITL p50 and p99 in seconds, and what it has cost in US dollars.
        """
        return [*self._samples]
