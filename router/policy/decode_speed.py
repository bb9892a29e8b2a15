"""The time between two tokens of a stream, as a function of how many streams run beside it.

A step of the engine takes a fixed time and some more for each running request, so the gap between
tokens grows with the batch. What was seen at a small batch thus says what a full one will do, and
the other way round; one average over both would say neither.
"""

from math import sqrt

from router.policy.least_squares import LeastSquares
from router.policy.units import NS_PER_MS

_UNIT_NS = 20 * NS_PER_MS
_UNIT_STREAMS = 8
_FLOOR_NS = 0.1 * NS_PER_MS
_TAUGHT = 8  # streams that ended teach more than a report's mean


class DecodeSpeed:
    """Learns the inter-token latency of one endpoint."""

    __slots__ = ("_model", "base_ns", "count", "stream_ns")

    def __init__(self, base_ns: float, stream_ns: float) -> None:
        self.base_ns = base_ns
        self.stream_ns = stream_ns  # for each stream that runs beside
        start = (base_ns / _UNIT_NS, stream_ns * _UNIT_STREAMS / _UNIT_NS)
        self._model = LeastSquares(start, deviation=(1.0, 1.0))
        self.count = 0  # streams that were observed

    def itl_ns(self, streams: float) -> float:
        """The expected gap between tokens while so many streams run."""
        return self.base_ns + self.stream_ns * streams

    def add(self, itl_ns: float, streams: float) -> None:
        """Observe the mean gap of a stream that ended."""
        self.count += 1
        self._learn(itl_ns, streams)

    def hear(self, itl_ns: float, streams: float) -> None:
        """Observe the recent mean gap of a report: all there is to know until streams end."""
        if self.count < _TAUGHT:
            self._learn(itl_ns, streams)

    def _learn(self, itl_ns: float, streams: float) -> None:
        # Relative to what is seen as much as to what is believed: an error of a factor then weighs
        # the same either way, and a belief that is far too high comes down as fast as it went up.
        scale = _UNIT_NS / sqrt(max(_FLOOR_NS, self.itl_ns(streams)) * max(_FLOOR_NS, itl_ns))
        self._model.add((scale, scale * streams / _UNIT_STREAMS), scale * itl_ns / _UNIT_NS)
        base, stream = self._model.coefficients
        if stream < 0.0:
            # What is taken off the slope goes to the base, so that the gap stays what was seen
            # beside so many: else the fit makes up for it with a base that grows without end.
            base, stream = base + stream * streams / _UNIT_STREAMS, 0.0
        self._model.coefficients = [max(1e-3, base), stream]
        self.base_ns = self._model.coefficients[0] * _UNIT_NS
        self.stream_ns = self._model.coefficients[1] * _UNIT_NS / _UNIT_STREAMS
