"""Ours without one thing that it is told: what it does then, and what that thing is worth."""

import random
from dataclasses import replace

from router.policy.core import RouterCore
from router.policy.decision import Decision
from router.policy.fleet import Fleet
from router.policy.load import LoadReport
from router.policy.outcome import Ended, Outcome
from router.policy.output_length import OutputLength
from router.policy.request import Request


class NoHashes(RouterCore):
    """No prompt comes with the hashes of its blocks, and no report tells of any."""

    def on_request(self, request: Request, now: int, rng: random.Random) -> Decision:
        """Without the prompt's prefix."""
        return super().on_request(replace(request, prefix=()), now, rng)

    def on_load(self, report: LoadReport, now: int) -> None:
        """Without the cache's changes."""
        super().on_load(replace(report, prefix_added=(), prefix_removed=()), now)


class NoSessions(RouterCore):
    """No request says to which session it belongs."""

    def on_request(self, request: Request, now: int, rng: random.Random) -> Decision:
        """Without its session."""
        return super().on_request(replace(request, session=""), now, rng)


class NoLengths(RouterCore):
    """Nobody counts the tokens of an answer."""

    def on_outcome(self, outcome: Outcome, now: int, rng: random.Random) -> Decision | None:
        """Without the length."""
        if isinstance(outcome, Ended):
            outcome = replace(outcome, output_tokens=0)
        return super().on_outcome(outcome, now, rng)


class _Wrong(OutputLength):
    """Expects answers so many times as long as they have been."""

    def __init__(self, times: float) -> None:
        super().__init__()
        self._times = times

    def expected(self, max_new_tokens: int) -> float:
        """The wrong length."""
        return max(1.0, min(self._times * super().expected(max_new_tokens), max_new_tokens))


class Misled(RouterCore):
    """Expects answers so many times as long as they are."""

    def __init__(self, fleet: Fleet, times: float) -> None:
        super().__init__(fleet)
        self._decider.output = {slo.name: _Wrong(times) for slo in fleet.slo_classes}


class NoGaps(RouterCore):
    """Nobody counts the gaps between tokens."""

    def on_outcome(self, outcome: Outcome, now: int, rng: random.Random) -> Decision | None:
        """Without what streams saw."""
        if isinstance(outcome, Ended):
            outcome = replace(outcome, slow_gaps=None)
        return super().on_outcome(outcome, now, rng)

    def on_load(self, report: LoadReport, now: int) -> None:
        """Without what endpoints tell of them."""
        super().on_load(replace(report, itl_ns_p95=0), now)
