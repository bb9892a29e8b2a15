"""How far the tail of a stream's gaps lies above their mean at one endpoint.

A class's objective is about the p95 of the gaps between tokens, and what can be predicted from the
load is their mean. Between the two stands what else the engine does, above all prefill in the same
steps. So a margin is learned from streams that were near the edge: it rises when one misses its
objective that should have kept it, and falls when one keeps it, in such steps that streams at the
edge keep it with the confidence of their class (Robbins and Monro). What is far from the edge on
the side where it belongs says nothing. It never falls below what it began with: how a stream fared
is known when it ends, and by then a whole batch has been admitted on the strength of those before
it. Under standing overload a margin that crept down to 1 had all of them miss their objective at
once, and then rose so far that half of the endpoint stood idle.

Only where the batch itself makes steps longer is it the batch that must be kept small: while the
gap is less than a fifth longer than that of a stream alone, long gaps come from prefill, and to
send streams elsewhere would help nobody.
"""

from math import exp

_MOST = 2.5
_GAIN = 0.1
_EDGE = 0.8  # of the objective, at which a kept one begins to tell something
_SLOW_SHARE = 0.05  # of the gaps may be above the objective: its p95 is within
_ALONE = 1.2  # times the gap of a stream alone, up to which the batch is not what slows it


class GapTail:
    """The margin from the mean gap to the gap that streams may be promised."""

    __slots__ = ("_least", "margin")

    def __init__(self, margin: float) -> None:
        """Begin with a margin: what is believed before any stream was at the edge."""
        self.margin = self._least = margin

    def flows(self, gap_ns: float, alone_ns: float, objective_ns: float) -> bool:
        """Whether streams with this mean gap, of which `alone_ns` without others, may be added."""
        return self.margin * gap_ns <= objective_ns or gap_ns <= _ALONE * alone_ns

    def add(self, gap_ns: float, slow_share: float, objective_ns: float, confidence: float) -> None:
        """Observe a stream by its mean gap and the share of its gaps above the objective."""
        promised = self.margin * gap_ns / objective_ns
        if slow_share > _SLOW_SHARE:
            if promised < 1.0 / _EDGE:
                self.margin = min(_MOST, self.margin * exp(_GAIN * confidence))
        elif promised > _EDGE:
            self.margin = max(self._least, self.margin * exp(-_GAIN * (1.0 - confidence)))
