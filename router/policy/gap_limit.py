"""How many streams may run at one endpoint before the gaps between their tokens are too long.

An objective is about the p95 of the gaps, and what can be predicted from the load is their mean.
Between the two stands what else the engine does, above all the prefill of other prompts in the same
steps. While few streams run, a step that prefills is still short enough; from some number on every
such step is a gap too long, for all streams at once. So there is an edge, and it is sharp. It is
found from streams that ended: of each it is known how many ran beside it at the most and whether it
kept its objective, and the number that best parts those that kept it from those that missed it is
the limit (a decision stump). The most, because a twentieth of its gaps make a stream miss: by the
mean of its life, streams that a filling engine began with few beside them put the edge at half of
where it is. Misses that fewer streams would not have prevented, of which there are as many on
either side of any number, set no limit.

What lies beyond the limit is seen no more, so the limit grows slowly while the streams that run
close below it keep their objective. An endpoint that got faster is found out like that. How slowly
follows from what it costs to cross the edge: all streams that run then, a hundred or so, miss. So
thousands must have been kept for each crossing. Beside it stands a bound on the predicted mean gap
itself, for engines that never came near the edge: it begins at a share of the objective and grows
towards it in the same way. (A fifth of that growth refuses a twentieth of what a fleet can serve
under a standing overload, as `shared-prompt` of the comparison has it. Twice of it finds the edge
so early in a flood of bursts that a tenth of what is answered then comes late.)

A margin stepped up with each miss and down with each success (Robbins and Monro) was rejected: the
streams of an engine miss together, so the margin ran away at the first miss and took minutes to
come back.
"""

from collections import deque
from itertools import pairwise
from math import inf

_WINDOW = 128  # streams; half a minute where reports alone tell, one a second
SLOW_SHARE = 0.05  # of the gaps may be above the objective: its p95 is within
_CLEAR = 0.5  # of the misses in the window a limit must explain, more than it gives up
_FEW = 8  # misses that are chance
_REPORT_WEIGHT = 4  # streams that a report speaks for
_CLOSE = 0.9  # of the limit
_GROWTH = 0.0001  # for each stream that kept its objective close to the limit, or to the bound
_GAP_BACK = 0.001  # for each stream that missed it
ALONE = 1.2  # times the gap of a stream alone, up to which the batch is not what slows it
_COLD_RESERVE = 0.1  # of the streams, kept for those with a cached prefix
_LEAST = 2.0


class GapLimit:
    """The streams that may run beside each other under one objective for their gaps."""

    __slots__ = ("_found", "_objective_ns", "_prior_ns", "_recent", "gap_ns", "streams")

    def __init__(self, objective_ns: int, prior_share: float, found: dict[int, float]) -> None:
        """For this objective, of which the mean may be the share `prior_share` to begin with.

        `found` is what endpoints like this one have found, by objective: see GapLimits.
        """
        self._objective_ns = objective_ns
        self._found = found
        self._recent: deque[tuple[float, bool]] = deque(maxlen=_WINDOW)
        self.streams = inf
        self._prior_ns = prior_share * objective_ns
        self.gap_ns = self._prior_ns  # the mean gap that may be predicted

    def flows(self, beside: float, gap_ns: float, alone_ns: float, cold_share: float) -> bool:
        """Whether one more stream may run beside so many, with a mean gap of so much.

        `alone_ns` is the gap of a stream alone; `cold_share` is how much of the prompt is not
        cached: what has more to lose elsewhere finds room for a little longer.
        """
        room = self.streams * (1.0 - _COLD_RESERVE * cold_share)
        return (beside < room and gap_ns <= self.gap_ns) or gap_ns <= ALONE * alone_ns

    def hear(self, streams: float, gap_ns_p95: int) -> None:
        """Observe what a report says of the last second: it is sooner than what streams teach."""
        if gap_ns_p95:
            missed = gap_ns_p95 > self._objective_ns
            self._recent.extend([(streams, missed)] * _REPORT_WEIGHT)
            self._look(streams, missed=missed)

    def add(self, streams: float, gap_ns: float, slow_share: float) -> None:
        """Observe a stream that ended: how many ran beside it at most.

        `gap_ns` is the mean gap that is predicted beside so many, `slow_share` is the share of its
        gaps that were over the objective.
        """
        missed = slow_share > SLOW_SHARE
        self._recent.append((streams, missed))
        self._look(streams, missed=missed)
        if not missed and self.streams < inf and streams >= _CLOSE * self.streams:
            self.streams *= 1.0 + _GROWTH
            self._found[self._objective_ns] = self.streams
        if missed:
            self.gap_ns = max(self._prior_ns, self.gap_ns * (1.0 - _GAP_BACK))
        elif gap_ns >= _CLOSE * self.gap_ns:
            self.gap_ns = min(self._objective_ns, self.gap_ns * (1.0 + _GROWTH))

    def _look(self, streams: float, *, missed: bool) -> None:
        """Take a lower limit where there is evidence of one, here or at an endpoint alike."""
        if self.streams == inf:
            self.streams = self._found.get(self._objective_ns, inf)
        if missed and streams < self.streams and (edge := self._edge()) < self.streams:
            self.streams = self._found[self._objective_ns] = edge

    def _edge(self) -> float:
        """The number of streams that best parts the kept from the missed; infinite for none."""
        ordered = sorted(self._recent)
        misses = sum(missed for _, missed in ordered)
        wrong = least = sum(not missed for _, missed in ordered)  # were all above the limit
        edge = _CLOSE * ordered[0][0]  # where all of them missed
        for (streams, missed), (more, _) in pairwise(ordered):
            wrong += 1 if missed else -1
            if wrong < least and streams < more:  # no limit parts those that ran beside as many
                least, edge = wrong, (streams + more) / 2  # where between them, nobody knows
        explained = misses - least
        if explained < max(_FEW, _CLEAR * misses):
            return inf
        return max(_LEAST, edge)
