"""What becomes of requests whose prompt is suspected: `router.policy.quarantine` says of what."""

import random
from collections.abc import Callable

from router.policy.admission import CHECK_NS, RELEASED_MAX
from router.policy.decider import Decider, Verdict
from router.policy.decision import Decision, Send, Wait
from router.policy.fleet import Limits
from router.policy.flight import Flight
from router.policy.outcome import End, Ended
from router.policy.parole import Parole
from router.policy.quarantine import Quarantine, Standing
from router.policy.recovery import Again
from router.policy.refusal import quarantined, refuse
from router.policy.registry import Registry
from router.policy.request import Request
from router.policy.rule import Rule
from router.policy.tracked import Tracked

_CRASHES = frozenset({End.UNREACHABLE, End.FAILED})

Commit = Callable[[Verdict, int, Again], Decision]
"""Makes a verdict at a time, of an attempt that follows others, take effect."""


class Suspicion:
    """The suspects of one router, and how each of their requests goes on."""

    def __init__(
        self, limits: Limits, registry: Registry, decider: Decider, commit: Commit
    ) -> None:
        self.quarantine = Quarantine(limits)
        self._parole = Parole()
        self._registry = registry
        self._decider = decider
        self._commit = commit
        self._next_ns = 0

    def __contains__(self, request: str) -> bool:
        return request in self._parole

    def standing(self, request: Request, now: int) -> Standing:
        """What a request may do."""
        if not request.fingerprint or not len(self.quarantine):
            return Standing.FREE
        return self.quarantine.standing(request.fingerprint, now)

    def send(self, again: Again, now: int, rng: random.Random) -> Decision:
        """A suspected request goes alone, waits for that, or is refused."""
        request, standing = again.request, self.standing(again.request, now)
        if standing is Standing.QUARANTINED:
            self.quarantine.refuse(request.fingerprint, now)
            return quarantined(request)
        if standing is Standing.UNCLEAR:
            return self._parole.keep(again)
        taken = self._parole.taken if standing is Standing.ALONE else ()
        verdict = self._decider.decide(request, (*again.tried, *taken), now, rng, again.attempt)
        if verdict.chosen is None and taken:
            return self._parole.keep(again)
        if verdict.need is not None:
            verdict.need.tried = again.tried
        decision = self._commit(verdict, now, again)
        if isinstance(decision, Send) and standing is Standing.ALONE:
            self._parole.on_send(request.id, decision.endpoint)
        return decision

    def release(self, now: int, rng: random.Random, *, stirred: bool) -> list[Decision]:
        """What becomes of those who wait: some may go, some are to blame, some are out of time."""
        if not len(self._parole) or not (stirred or now >= self._next_ns):
            return []
        self._next_ns = now + CHECK_NS
        answers: list[Decision] = []
        for again in self._parole.waiting()[:RELEASED_MAX]:
            request = again.request
            self._parole.leave(request.id)
            if request.deadline_ns is not None and request.deadline_ns <= now:
                answers.append(refuse(request, Rule.DEADLINE, "the deadline has passed"))
                continue
            answer = self.send(again, now, rng)
            if not isinstance(answer, Wait):
                answers.append(answer)
        return answers

    @property
    def next_ns(self) -> int | None:
        """When to look again at the latest; None: no need."""
        return self._next_ns if len(self._parole) else None

    def withdraw(self, request: str) -> None:
        """A request waits no more. No effect on one that does not."""
        self._parole.leave(request)

    def on_ended(self, ended: Ended, flight: Flight, tracked: Tracked, now: int) -> None:
        """An attempt is over: it may clear its prompt, or add to what is held against it."""
        request = flight.request
        self._parole.on_end(request.id)
        if not request.fingerprint:
            return
        if ended.end is End.OK:
            self.quarantine.on_ok(request.fingerprint)
        elif ended.end in _CRASHES:
            report, nothing = tracked.occupancy.report, not ended.messages
            instance = report.instance if report is not None else ""
            self.quarantine.on_failed(request, tracked.name, instance, now, got_nothing=nothing)
            if tracked.gone:
                self.quarantine.on_gone(tracked.name, drained=tracked.is_draining)

    def on_tick(self, now: int) -> None:
        """Forget what is old; of what gave no sign, a refused connection means a dead process."""
        self.quarantine.expire(now)
        for name in self.quarantine.unclear(now):
            tracked = self._registry.by_name.get(name)
            away = tracked is not None and not tracked.connected
            refused = tracked is not None and not tracked.lost_silently
            self.quarantine.assume(name, crashed=away and refused)
