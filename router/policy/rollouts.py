"""The roll-outs of one router: which version a request goes to, how each does, what is taken back.

A session stays with its version as long as that is there. A new version that fails, is late or
stutters so much more often than the standing one that chance is no explanation
(`router.policy.contrast`) is *returned*: it gets nothing more, its sessions go to the standing
version with their next turns, and it stays so until an operator resumes it or the fleet file says
something else of it.

What counts is a request's first attempt, since what follows depends on what failed. Two things
would count one event many times, and count once: the streams that break together where a site or
an engine is lost, and the turns of one session that nobody can answer well.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from router.policy.contrast import Contrast
from router.policy.explanation import span
from router.policy.fleet import Fleet
from router.policy.flight import Flight
from router.policy.gap_limit import SLOW_SHARE
from router.policy.outcome import FAILURES, End, Ended
from router.policy.request import Request
from router.policy.rollout import Rollout
from router.policy.sessions import Session

FAILED_TOLERATED = 0.01
"""Answers that may fail: what a fleet has of that anyway is far below."""

_TOLERATED_MIN = 0.001
_SESSIONS_BETWEEN = 2  # others whose answers are bad before the same session's counts again
_TOGETHER = frozenset({End.UNREACHABLE, End.STALLED})  # what breaks all that runs there at once

FAILED, LATE, SLOW = "failed", "late", "slow"
_SAID = {
    FAILED: "failed",
    LATE: "had a late first token",
    SLOW: "were slow between tokens",
}


@dataclass(frozen=True, slots=True)
class VersionCounts:
    """How the answers of a version did since its roll-out began, or was resumed."""

    model: str
    answers: int = 0  # that ended well or failed
    failed: int = 0
    first_tokens: int = 0
    late: int = 0  # of those
    streams: int = 0  # with gaps between tokens to judge
    slow: int = 0  # of those


@dataclass(frozen=True, slots=True)
class RolloutSnapshot:
    """A roll-out as it stands."""

    name: str
    share: float  # of new sessions, that the fleet file gives the new version
    standing: VersionCounts
    new: VersionCounts
    returned: str = ""  # why it was; empty while it goes on
    returned_age_ns: int = 0
    was_found: bool = False  # that it is worse, here; nobody else has said so


class _State:
    """One roll-out with two versions, and what was seen of them."""

    def __init__(self, rollout: Rollout) -> None:
        self.rollout = rollout
        self.returned = ""
        self.returned_ns = 0
        self.was_found = False
        self.begin()

    def begin(self) -> None:
        """Everything that was seen is forgotten."""
        self.seen = {kind: Contrast() for kind in (FAILED, LATE, SLOW)}
        self._latest: dict[str, deque[str]] = {}
        self._lost_ns: dict[str, int] = {}  # when a site last lost streams

    def add(self, kind: str, flight: Flight, now: int, *, bad: bool, tolerated: float) -> None:
        """An answer was seen."""
        is_new = flight.request.model == self.rollout.new
        if bad and self._is_repeated(kind, flight, is_new=is_new):
            return
        contrast = self.seen[kind]
        contrast.add(is_new=is_new, bad=bad, tolerated=max(_TOLERATED_MIN, tolerated))
        if contrast.is_worse and not self.returned:
            self.returned, self.returned_ns = self._why(kind, contrast), now
            self.was_found = True

    def is_another_event(self, flight: Flight, now: int) -> bool:
        """Whether what breaks here is not what broke others with it, at the same site."""
        site = flight.site.site.name
        lost_ns = self._lost_ns.get(site)
        if lost_ns is not None and flight.sent_ns <= lost_ns:
            return False
        self._lost_ns[site] = now
        return True

    def _is_repeated(self, kind: str, flight: Flight, *, is_new: bool) -> bool:
        session = flight.request.session_key
        latest = self._latest.setdefault(f"{kind}{is_new}", deque(maxlen=_SESSIONS_BETWEEN))
        if session and session in latest:
            return True
        latest.append(session)
        return False

    def _why(self, kind: str, contrast: Contrast) -> str:
        standing, new = contrast.standing, contrast.new
        return (
            f"{new[1]} of {new[0]} answers of {self.rollout.new} {_SAID[kind]},"
            f" of {self.rollout.standing} {standing[1]} of {standing[0]}"
        )

    def snapshot(self, now: int) -> RolloutSnapshot:
        """As frozen values."""
        rollout = self.rollout
        age_ns = now - self.returned_ns if self.returned else 0
        standing, new = self._counts(rollout.standing), self._counts(rollout.new)
        came = self.returned, age_ns, self.was_found
        return RolloutSnapshot(rollout.name, rollout.share, standing, new, *came)

    def _counts(self, model: str) -> VersionCounts:
        counts = (number for kind in (FAILED, LATE, SLOW) for number in self._of(kind, model))
        return VersionCounts(model, *counts)

    def _of(self, kind: str, model: str) -> list[int]:
        contrast = self.seen[kind]
        return contrast.new if model == self.rollout.new else contrast.standing


class Rollouts:
    """All of them, by the names that clients use."""

    def __init__(self, rollouts: Iterable[Rollout]) -> None:
        self._by_name: dict[str, Rollout] = {}
        self._states: dict[str, _State] = {}  # of those with two versions, by their own name
        self._take(rollouts)

    def __len__(self) -> int:
        return len(self._by_name)

    def adopt(self, fleet: Fleet) -> None:
        """The fleet has these. What is the same goes on, also where it was returned."""
        self._take(fleet.rollouts)

    def _take(self, rollouts: Iterable[Rollout]) -> None:
        before, self._states, self._by_name = self._states, {}, {}
        for one in rollouts:
            self._by_name.update(dict.fromkeys(one.names, one))
            if one.new:
                state = before.get(one.name)
                same = state is not None and state.rollout == one
                self._states[one.name] = state if state is not None and same else _State(one)

    def get(self, name: str) -> Rollout | None:
        """The roll-out that clients ask for by this name."""
        return self._by_name.get(name)

    def versions_for(
        self, rollout: Rollout, request: Request, session: Session | None, at: str, *, again: bool
    ) -> tuple[str, ...]:
        """The versions that a request may go to: its own first, then what stands in where none is.

        `at` is the model where the session is placed; `again` that an attempt has failed. What the
        new version has failed is asked of the standing one, and nothing the other way round.
        """
        if not rollout.new or self._states[rollout.name].returned:
            return (rollout.standing,)
        kept = session.model if session is not None else ""
        if again and request.model in rollout.versions:
            first = rollout.standing
        elif kept in rollout.versions or (kept := at) in rollout.versions:
            first = kept
        else:
            first = rollout.version_of(request.session_key or request.id)
        return rollout.versions if first == rollout.standing else rollout.versions[::-1]

    def remember(self, session: Session, request: Request) -> None:
        """A turn of the session goes to a version, which is the session's from now on."""
        rollout = self._by_name.get(request.asked)
        if rollout is not None and request.model in rollout.versions:
            session.model = request.model

    def on_first_token(self, flight: Flight, ttft_ns: int, now: int) -> None:
        """An attempt has given its first token."""
        state = self._state(flight)
        if state is not None and flight.request.streams:
            late, slo = ttft_ns > flight.objective_ns, flight.slo_class
            state.add(LATE, flight, now, bad=late, tolerated=1.0 - slo.confidence)

    def on_end(self, ended: Ended, flight: Flight, now: int) -> None:
        """An attempt is over."""
        state = self._state(flight)
        if state is None:
            return
        end, slo = ended.end, flight.slo_class
        given_up = end in {End.CANCELLED, End.TIMED_OUT} and not flight.first_ns
        if given_up and now - flight.sent_ns > flight.objective_ns:
            state.add(LATE, flight, now, bad=True, tolerated=1.0 - slo.confidence)
        failed = end in FAILURES or end is End.REJECTED or (end is End.TIMED_OUT and given_up)
        alone = not failed or end not in _TOGETHER or state.is_another_event(flight, now)
        if alone and (failed or end is End.OK):
            state.add(FAILED, flight, now, bad=failed, tolerated=FAILED_TOLERATED)
        if ended.slow_gaps is not None and ended.output_tokens > 1:
            slow = ended.slow_gaps > SLOW_SHARE * (ended.output_tokens - 1)
            state.add(SLOW, flight, now, bad=slow, tolerated=1.0 - slo.confidence)

    def change(self, name: str, why: str, now: int, new: str = "") -> None:
        """It is returned for this reason, or for none resumed and judged anew.

        No effect on what no two versions serve, or is so already, or where another version is the
        new one than the `new` of which it was said.
        """
        state = self._states.get(name)
        if state is None or bool(why) == bool(state.returned):
            return
        if new and new != state.rollout.new:
            return
        state.returned, state.returned_ns, state.was_found = why, now, False
        if not why:
            state.begin()

    def snapshot(self, now: int) -> tuple[RolloutSnapshot, ...]:
        """Those with two versions."""
        return tuple(state.snapshot(now) for state in self._states.values())

    def _state(self, flight: Flight) -> _State | None:
        """The roll-out of which an attempt tells something."""
        request = flight.request
        if not request.asked or flight.attempt > 1 or request.resume is not None:
            return None
        rollout = self._by_name.get(request.asked)
        if rollout is None or request.model not in rollout.versions:
            return None
        return self._states.get(rollout.name)


def said(snapshot: RolloutSnapshot) -> str:
    """How it stands, in a sentence."""
    new, standing = snapshot.new.model, snapshot.standing.model
    if snapshot.returned:
        ago = span(snapshot.returned_age_ns)
        return f"{new} was returned {ago} ago: {snapshot.returned}; {standing} serves all"
    return f"{new} has {snapshot.share:.0%} of new sessions, {standing} the others"
