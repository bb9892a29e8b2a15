"""What is asked of a fleet: how often, with how many tokens, and whether it had room for it."""

from typing import NamedTuple

from router.policy.admission import work_of
from router.policy.decision import Decision, Refuse, Send, Wait
from router.policy.need import Need
from router.policy.request import Request
from router.policy.rule import Rule

_PRESSED = frozenset({Rule.QUEUED, Rule.LEAST_BAD, Rule.OVERLOAD, Rule.NO_ENDPOINT})
_COUNTED = frozenset({Rule.OVERLOAD, Rule.NO_ENDPOINT})
"""Refusals for want of capacity: more of it would have served them. Others are the asker's."""
_TYPICAL_OUTPUT = 256.0  # tokens, of a request that was refused before anything is known


class Demand(NamedTuple):
    """Of a second: requests, prompt tokens that no cache had, and tokens of output."""

    requests: float = 0.0
    prompt_tokens: float = 0.0
    output_tokens: float = 0.0

    @property
    def work(self) -> float:
        """Tokens of work."""
        return work_of(self.prompt_tokens, self.output_tokens)

    def times(self, factor: float) -> "Demand":
        """So many times as much."""
        return Demand(
            self.requests * factor, self.prompt_tokens * factor, self.output_tokens * factor
        )


class Asked(NamedTuple):
    """Totals since the start."""

    requests: int = 0
    prompt_tokens: int = 0
    output_tokens: float = 0.0
    pressed: int = 0  # requests for which no endpoint was sure to be in time
    missed: int = 0  # objectives: refused for want of capacity, or answered late


class DemandTally:
    """Counts what is asked of one router, whatever becomes of it, each request once."""

    __slots__ = ("_output_tokens", "_pressed", "_prompt_tokens", "_refused", "_requests")

    def __init__(self) -> None:
        self._requests = 0
        self._prompt_tokens = 0
        self._output_tokens = 0.0
        self._pressed = 0
        self._refused = 0

    def asked(self, late: int) -> Asked:
        """The totals; so many answers were late."""
        missed = self._refused + late
        return Asked(
            self._requests, self._prompt_tokens, self._output_tokens, self._pressed, missed
        )

    def count(self, request: Request, need: Need | None, decision: Decision) -> None:
        """A request was decided when it came."""
        if isinstance(decision, Refuse) and decision.rule not in _COUNTED:
            return
        self._requests += 1
        self._pressed += decision.rule in _PRESSED
        self._refused += isinstance(decision, Refuse)
        self._prompt_tokens += _uncached(request, decision)
        if need is not None:
            self._output_tokens += need.expected_tokens
        else:
            self._output_tokens += min(_TYPICAL_OUTPUT, request.max_new_tokens)


def _uncached(request: Request, decision: Send | Wait | Refuse) -> int:
    """The prompt tokens that have to be computed, where it went or might have gone."""
    if isinstance(decision, Send):
        return decision.chosen.uncached_tokens
    return min((one.uncached_tokens for one in decision.candidates), default=request.prompt_tokens)
