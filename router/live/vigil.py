"""Looks over all open attempts, some times a second, for those that have fallen silent.

A message costs nothing for it: what is compared is how many have come. The looks themselves never
take more than a fiftieth of the time, however many streams there are; with many, they are fewer.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable
from typing import Final

import grpc

from router.live.attempt import Attempt, Failure
from router.live.roster import Roster
from router.live.timed_core import TimedCore, now_ns
from router.live.turn import Turn
from router.policy.outcome import End
from router.policy.units import NS_PER_MS, NS_PER_S
from router.policy.vigil import Beat

_LOOK_S: Final = 0.05
_COST_SHARE: Final = 0.02
_TELLING_NS: Final = 100 * NS_PER_MS
"""A shorter silence is not told to the core: no endpoint is given up for it."""

_OWN_LAG_NS: Final = 100 * NS_PER_MS
"""Who was late by more first reads what has come meanwhile, and looks the next time."""

_OWN_PAUSE_NS: Final = 500 * NS_PER_MS
"""Who was away for longer cannot say who else was: the machine may have stood still."""


class Vigil:
    """Gives up attempts that the core takes for stalled, and asks endpoints that are silent."""

    def __init__(self, core: TimedCore, roster: Roster, turns: Iterable[Turn]) -> None:
        self._core = core
        self._roster = roster
        self._turns = turns
        self._looked_ns = now_ns()
        self._has_skipped = False
        self._went_on_ns: dict[str, int] = {}  # when any stream of an endpoint last did

    async def run(self) -> None:
        """Looks again and again, until cancelled."""
        pause_s = _LOOK_S
        while True:
            self._looked_ns = now_ns()
            await asyncio.sleep(pause_s)
            begun_s = time.perf_counter()
            self.look(round(pause_s * NS_PER_S))
            pause_s = max(_LOOK_S, (time.perf_counter() - begun_s) / _COST_SHARE)

    def look(self, pause_ns: int) -> None:
        """Look once, after a pause that was meant to be this long."""
        now = now_ns()
        late_ns = now - self._looked_ns - pause_ns
        if late_ns > _OWN_PAUSE_NS:
            self._shift(late_ns)
        if late_ns > _OWN_LAG_NS and not self._has_skipped:
            self._has_skipped = True
            return
        self._has_skipped = False
        by_endpoint: defaultdict[str, list[Attempt]] = defaultdict(list)
        for turn in self._turns:
            if turn.attempt is not None:
                by_endpoint[turn.attempt.send.endpoint].append(turn.attempt)
        self._went_on_ns = {n: at for n, at in self._went_on_ns.items() if n in by_endpoint}
        beats = {name: self._look_at(name, of_it, now) for name, of_it in by_endpoint.items()}
        for endpoint in self._roster:
            beat = beats.get(endpoint.name) or Beat(endpoint.name, 0, 0, ())
            if endpoint.follower.connected and self._core.should_ask(beat):
                endpoint.follower.doubt()

    def _shift(self, late_ns: int) -> None:
        """Count none of the time that this router was itself away."""
        for turn in self._turns:
            if turn.attempt is not None:
                turn.attempt.moved_ns += late_ns
        for name in self._went_on_ns:
            self._went_on_ns[name] += late_ns

    def _look_at(self, name: str, attempts: list[Attempt], now: int) -> Beat:
        ended_ns, silent = 0, []
        for attempt in attempts:
            if attempt.seen != attempt.read:
                if attempt.seen:
                    ended_ns = max(ended_ns, now - attempt.moved_ns)
                attempt.seen, attempt.moved_ns = attempt.read, now
                self._went_on_ns[name] = now
            elif attempt.is_writing:  # for its client, however slow, and not for the endpoint
                attempt.moved_ns = now
            elif now - attempt.moved_ns >= _TELLING_NS:
                silent.append(attempt)
        if ended_ns < _TELLING_NS:
            ended_ns = 0
        silences = tuple((a.send.request, now - a.moved_ns) for a in silent)
        went_on_ns = self._went_on_ns.get(name, 0)
        beat = Beat(name, now - went_on_ns, ended_ns, silences, begun=went_on_ns > 0)
        if not (silent or ended_ns):
            return beat
        gone = set(self._core.given_up(beat))
        for attempt in silent:
            if attempt.send.request in gone:
                attempt.give_up(_stalled(attempt, now))
        return beat


def _stalled(attempt: Attempt, now: int) -> Failure:
    silent_s = (now - attempt.moved_ns) / NS_PER_S
    return Failure(
        End.STALLED,
        grpc.StatusCode.UNAVAILABLE,
        f"nothing came from {attempt.send.endpoint} for {silent_s:.1f} s",
    )
