"""Clients that come and go: short streams, some cancelled, some that lose their client."""

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from benchmarks.dataplane.client import Call, ClientConnection, Seen, turn

_MESSAGES: Final = 3
_CANCELLED: Final = 0.2  # of all streams
_VANISHES: Final = 0.002  # of all streams: the client goes with all that it has open
_WAIT_S: Final = 0.05
_GIVE_UP_S: Final = 30.0  # without any stream that ended


@dataclass(slots=True)
class Churned:
    """How the streams ended that were begun."""

    streams: int = 0
    finished: int = 0
    cancelled: int = 0
    lost: int = 0  # with the connection that their client dropped
    errors: Counter[str] = field(default_factory=Counter)


class Churn:
    """Keeps some streams open at `address`, and ends each in one of the three ways."""

    def __init__(self, address: str, at_once: int, connections: int, seed: int) -> None:
        self.ended = Churned()
        self._address = address
        self._at_once = at_once
        self._rng = random.Random(seed)
        self._seen = Seen()
        self._connections = [self._connect() for _ in range(connections)]
        self._open = 0

    def run(self, streams: int, look: Callable[[int], None], every: int) -> None:
        """Until so many streams have ended; `look` is called after each `every` of them."""
        next_look, moved_s, ended = every, time.monotonic(), 0
        while self._ended() < streams:
            while self._open < self._at_once and self.ended.streams < streams:
                self._begin()
            turn(self._connections, _WAIT_S)
            if self._ended() > ended:
                ended, moved_s = self._ended(), time.monotonic()
            elif time.monotonic() - moved_s > _GIVE_UP_S:
                self.ended.errors["no stream ends any more"] += self._open
                break
            if ended >= next_look:
                look(ended)
                next_look += every
        self.ended.errors.update(self._seen.errors)

    def close(self) -> None:
        """Leaves."""
        for connection in self._connections:
            connection.close()

    def _ended(self) -> int:
        return self.ended.streams - self._open

    def _connect(self) -> ClientConnection:
        return ClientConnection(self._address, self._seen)

    def _begin(self) -> None:
        place = self._rng.randrange(len(self._connections))
        fate = self._rng.random()
        self._open += 1
        self.ended.streams += 1
        if fate < _VANISHES:
            self._vanish(place)
        connection = self._connections[place]
        call = Call(connection, _MESSAGES, self._on_end)
        if fate > 1 - _CANCELLED:
            # At any time: before it is sent, while it is decided on, or with an answer on its way.
            if self._rng.random() < 0.7:
                turn(self._connections, self._rng.uniform(0, 0.002))
            if call.id in connection.calls:
                connection.cancel(call)
                self._open -= 1
                self.ended.cancelled += 1

    def _vanish(self, place: int) -> None:
        old = self._connections[place]
        self.ended.lost += len(old.calls)
        self._open -= len(old.calls)
        old.calls.clear()
        old.close()
        self._connections[place] = self._connect()

    def _on_end(self, call: Call) -> None:
        self._open -= 1
        self.ended.finished += call.tokens == call.asked
