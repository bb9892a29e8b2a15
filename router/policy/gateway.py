"""What an endpoint that is a router says of what is behind it, and what is made of that.

A replica's first token can be predicted from its queue: one engine works it off in order. A router
has many engines and a queue of its own, which one sum of tokens does not describe; but it predicts
for each of its engines, so it says what it would promise a request that came now, for some lengths
of what is to be prefilled. The router above predicts with its own model as for any endpoint, and
counts as waiting what the forecast is longer than that: a forecast that is too short is thereby no
better than none, and how much one that is too long can be trusted is learned from first tokens.
"""

from bisect import bisect_left
from dataclasses import dataclass
from typing import NamedTuple

CIRCULAR = "a router that leads back to this one"
NOTHING_BEHIND = "a router without an endpoint that takes requests"

FORECASTS_MAX = 8  # lengths; more would say nothing that a line between two does not
ROUTERS_MAX = 64  # told of behind one; the nearest, and each at most four routers away


class Forecast(NamedTuple):
    """The time to first token of a request with so much to prefill."""

    uncached_tokens: int
    ttft_ns: int


@dataclass(frozen=True, slots=True)
class Gateway:
    """A router's word of what is behind it."""

    circular: bool  # requests sent there may come back here
    endpoints_up: int  # that take new turns
    endpoints: int
    forecasts: tuple[Forecast, ...] = ()  # by length

    @property
    def excluded(self) -> str:
        """Why no request may go there; empty where one may."""
        if self.circular:
            return CIRCULAR
        return "" if self.endpoints_up else NOTHING_BEHIND

    def forecast_ns(self, uncached_tokens: int) -> float:
        """Between the lengths it is a line, and beyond the longest it goes on as between the last.

        0 where nothing is forecast.
        """
        known = self.forecasts
        if not known:
            return 0.0
        after = bisect_left(known, (uncached_tokens, 0))
        if after == 0 or len(known) == 1:
            return float(known[0].ttft_ns)
        end = min(after, len(known) - 1)
        low, high = known[end - 1], known[end]
        share = (uncached_tokens - low.uncached_tokens) / (
            high.uncached_tokens - low.uncached_tokens
        )
        return low.ttft_ns + max(0, high.ttft_ns - low.ttft_ns) * share
