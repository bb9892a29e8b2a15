"""What follows an attempt that failed: the same elsewhere, the rest of it elsewhere, or an end.

Before anything was delivered, a request is retried: out of a budget (`router.policy.retry_budget`),
because retries multiply an overload. After that, a stream goes on elsewhere if it can
(`router.policy.resume`), out of another: the death of a site breaks all its streams at once, and
each has a right to go on, so every request earns a whole resume. What keeps them from multiplying
is that one more is due only when the attempt before has delivered something, and that a stream goes
on so many times and no more. An attempt to go on that delivers nothing counts as a retry.

What was lost with its endpoint, connection and all, is retried out of the second budget, too: the
dead compute nothing, so it is no more load than the client asked for, and when a site falls silent
everything that was sent there before it was known has to go elsewhere at once. So is what is moved
away from an endpoint that drains: nothing has failed there, and nothing may fail for it.
"""

from dataclasses import dataclass, replace

from router.policy.fleet import Limits
from router.policy.flight import Flight
from router.policy.outcome import FAILURES, End, Ended
from router.policy.request import Request
from router.policy.resume import ResumePoint
from router.policy.retry_budget import RetryBudget

_RETRIABLE = FAILURES | {End.OVERLOADED, End.MOVED}


@dataclass(frozen=True, slots=True)
class Again:
    """The next attempt to be decided."""

    request: Request
    tried: tuple[str, ...]
    attempt: int
    resumes: int
    # Attempts since the last that delivered anything, which `tried` does not tell: those that
    # routers in it made beyond one each; and all where it is empty so that each may be tried anew.
    below: int = 0
    shun: str = ""  # a site that may be dying: another one is better, if there is one


class Recovery:
    """The budgets of one router, and the rules above."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._retries = RetryBudget(limits.retry_ratio, limits.retry_burst)
        self._resumes = RetryBudget(1.0, limits.resume_burst)

    def adopt(self, limits: Limits) -> None:
        """The limits are others; what was spent of the budgets is spent."""
        self._limits = limits
        self._retries.resize(limits.retry_ratio, limits.retry_burst)
        self._resumes.resize(1.0, limits.resume_burst)

    def on_request(self) -> None:
        """A request came: it earns a share of a retry, and a resume."""
        self._retries.on_request()
        self._resumes.on_request()

    def may_follow(self, ended: Ended, flight: Flight) -> bool:
        """Whether an end calls for another attempt, if one can be made.

        What refuses to go on with another's stream may be right about itself only.
        """
        refused = ended.end is End.REJECTED and flight.request.resume is not None
        return ended.end in _RETRIABLE or refused

    def after(
        self, ended: Ended, flight: Flight, *, lost: bool, suspected: bool = False
    ) -> Again | str:
        """The next attempt, paid for from its budget; or why there is none.

        `lost` tells that the endpoint could not be reached when the attempt ended. What is
        `suspected` and was lost with its engine again is this router's to judge, whatever one above
        allows it: sent back, it would crash engines elsewhere.
        """
        failed = f"attempt {flight.attempt} failed at {ended.endpoint} ({ended.end.value})"
        if ended.messages:
            return self._resume(ended, flight, failed)
        tried = (*flight.tried, ended.endpoint)
        below = flight.below + ended.attempts - 1
        made = len(tried) + below
        if attempts_left(flight.request, made, self._limits, bounded=not (suspected and lost)) < 1:
            return f"{failed}, and no more than {made} are made"
        moves = lost or ended.end is End.MOVED
        budget = self._resumes if moves else self._retries
        if not budget.take():
            return f"{failed}, and the {'resume' if moves else 'retry'} budget is spent"
        # Its neighbours may go in the same moment, and what was at two engines' ends is a suspect.
        shun = flight.site.name if lost else ""
        return Again(flight.request, tried, flight.attempt + 1, flight.resumes, below, shun)

    def may_ask(self, again: Again) -> str:
        """Why a stream that nobody could go on with may not ask once more; empty if it may."""
        if attempts_left(again.request, again.below, self._limits) > 0:
            return ""
        return f"{again.below} attempts to go on have failed, and no more are made"

    def may_move(self, flight: Flight, *, begun: bool) -> bool:
        """Whether another attempt would follow one that is given up as MOVED now."""
        if self._resumes.left < 1.0:
            return False
        if begun:
            return flight.resumes < self._limits.resumes_max
        return attempts_left(flight.request, len(flight.tried) + 1 + flight.below, self._limits) > 0

    def _resume(self, ended: Ended, flight: Flight, failed: str) -> Again | str:
        failed = f"{failed} after {ended.messages} messages had reached the client"
        point = ended.resume
        if point is None or point.impossible:
            return f"{failed}, and it cannot go on: {point.impossible}" if point else failed
        if flight.resumes >= self._limits.resumes_max:
            return f"{failed}, and it has gone on {flight.resumes} times already"
        if not self._resumes.take():
            return f"{failed}, and the resume budget is spent"
        request = rest_of(flight, point)
        return Again(request, (ended.endpoint,), flight.attempt + 1, flight.resumes + 1)


def attempts_left(request: Request, made: int, limits: Limits, *, bounded: bool = True) -> int:
    """How many more attempts may be made of a request of which so many have failed.

    `bounded` tells that what a router above allows counts.
    """
    most = limits.attempts_max
    return (min(most, request.attempts_max) if bounded and request.attempts_max else most) - made


def moved(flight: Flight, point: ResumePoint | None) -> tuple[Request, tuple[str, ...]]:
    """What would be sent elsewhere of a stream at this point, and where not; None: from its start.

    No more than what follows is asked for of a stream that has begun.
    """
    if point is None:
        return flight.request, (*flight.tried, flight.endpoint)
    return rest_of(flight, point), (flight.endpoint,)


def rest_of(flight: Flight, point: ResumePoint) -> Request:
    """The request for what follows this point of a stream."""
    before = flight.request.resume
    origin = flight.identity if before is None else before.identity
    return replace(
        flight.request,
        prompt_tokens=point.prompt_tokens + point.tokens,
        prefix=point.prefix,
        max_new_tokens=max(1, flight.tokens_max - point.tokens),
        resume=replace(point, identity=origin),
    )
