"""Moves streams away from endpoints that drain, once they have had their time to end there.

New turns stay away at once, so most streams end by themselves. What still runs after the drain's
time goes on elsewhere, while its endpoint is still as well as any: a part at a time, because each
costs the others a prefill, and only where there is somewhere to go. A stream that its client has
from the endpoint itself is ended there, upon which the client comes here for the rest.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final, TypeVar

import grpc

from router.live.attempt import Failure
from router.live.roster import Roster
from router.live.timed_core import TimedCore, now_ns
from router.live.turn import Turn
from router.policy.outcome import End
from router.policy.units import ns

_LOOK_S: Final = 0.25
_PART: Final = 4  # of the streams of an endpoint, one in so many moves at each look

MOVED: Final = Failure(
    End.MOVED, grpc.StatusCode.UNAVAILABLE, "its endpoint drains, and the time for it is over"
)


Moved = TypeVar("Moved")


class Mover:
    """Looks for endpoints that drain, and gives up their attempts in time."""

    def __init__(
        self, core: TimedCore, roster: Roster, turns: Iterable[Turn], drain_timeout_s: float
    ) -> None:
        self._core = core
        self._roster = roster
        self._turns = turns
        self.patience_ns = ns(drain_timeout_s)
        self._since_ns: dict[str, int] = {}  # when each was first seen to drain with streams on it

    async def run(self) -> None:
        """Looks again and again, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_S)
            self.look()

    def look(self) -> None:
        """Look once."""
        now, by_endpoint, direct = now_ns(), self._on_draining(), self._direct_on_draining()
        names = {*by_endpoint, *direct}
        self._since_ns = {name: self._since_ns.get(name, now) for name in names}
        for name in names:
            if now - self._since_ns[name] >= self.patience_ns:
                for turn in _part(by_endpoint.get(name, ())):
                    self._move(turn)
                for lease in _part(direct.get(name, ())):
                    self._end_there(name, lease)

    def _on_draining(self) -> dict[str, list[Turn]]:
        found: defaultdict[str, list[Turn]] = defaultdict(list)
        draining: dict[str, bool] = {}
        for turn in self._turns:
            attempt = turn.attempt
            if attempt is None or turn.transcript is None or attempt.given_up is not None:
                continue
            name = attempt.send.endpoint
            if name not in draining:
                draining[name] = self._core.is_draining(name)
            if draining[name]:
                found[name].append(turn)
        return found

    def _direct_on_draining(self) -> dict[str, tuple[str, ...]]:
        names = [one.name for one in self._roster if self._core.is_draining(one.name)]
        return {name: leases for name in names if (leases := self._core.leases_at(name))}

    def _end_there(self, name: str, lease: str) -> None:
        endpoint = self._roster.get(name)
        if endpoint is not None and self._core.may_move(lease, None):
            endpoint.abandoned.add(lease)

    def _move(self, turn: Turn) -> None:
        attempt, transcript = turn.attempt, turn.transcript
        if attempt is None or transcript is None:
            return
        point = transcript.point() if attempt.messages else None
        if self._core.may_move(attempt.send.request, point):
            attempt.give_up(MOVED)


def _part(all_there: Sequence[Moved]) -> Sequence[Moved]:
    """Those that move at one look."""
    return all_there[: -(-len(all_there) // _PART)]
