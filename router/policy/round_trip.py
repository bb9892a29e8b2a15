"""The round trip to an endpoint, as TCP estimates it (RFC 6298).

A smoothed mean and a smoothed mean deviation; what a request should allow for is the mean plus a
deviation. Four deviations, TCP's own timeout, would be a bound; one is what the tail of the whole
prediction needs, because the learned margin covers the rest.
"""


class RoundTrip:
    """Mean and deviation of the measured round trips to one endpoint, in nanoseconds."""

    __slots__ = ("_deviation_ns", "expected_ns", "is_measured", "mean_ns")

    def __init__(self, prior_ns: int = 0) -> None:
        self.is_measured = False
        self.mean_ns = prior_ns
        self._deviation_ns = 0.0
        self.expected_ns = prior_ns

    def add(self, rtt_ns: int) -> None:
        """Observe one round trip; a negative one is not possible and is ignored."""
        if rtt_ns < 0:
            return
        if not self.is_measured:
            self.is_measured = True
            self.mean_ns = rtt_ns
            self._deviation_ns = rtt_ns / 2
        else:
            error = rtt_ns - self.mean_ns
            self._deviation_ns += (abs(error) - self._deviation_ns) / 4
            self.mean_ns += round(error / 8)
        self.expected_ns = self.mean_ns + round(self._deviation_ns)
