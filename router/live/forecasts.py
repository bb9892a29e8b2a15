"""What this router would promise requests of some lengths that came now, for the router above."""

from collections.abc import Iterator
from typing import Final

from router.live.timed_core import TimedCore
from router.policy.decision import Refuse, Rule, Wait
from router.policy.gateway import Forecast
from router.policy.request import Request

LENGTHS: Final = (1, 256, 1_024, 4_096, 16_384, 65_536)
"""Of prompts of which nothing is cached, in tokens. Between them the time is nearly a line."""


def forecasts(core: TimedCore) -> Iterator[Forecast]:
    """For each length that some endpoint takes, the shortest first; none while nothing is up."""
    for length in LENGTHS:
        decision = core.explain(Request(id="forecast", model="", prompt_tokens=length))
        if isinstance(decision, Refuse) and decision.rule is not Rule.OVERLOAD:
            return
        able = [candidate for candidate in decision.candidates if not candidate.excluded]
        if not able:
            return
        ttft_ns = min(candidate.expected_ns for candidate in able)
        if isinstance(decision, Wait):
            ttft_ns += decision.expected_ns
        elif not isinstance(decision, Refuse):
            ttft_ns = decision.chosen.expected_ns
        yield Forecast(length, ttft_ns)
