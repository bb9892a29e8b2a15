"""Which endpoints can be reached from here, as far as it was tried."""

import threading

CONNECT_S = 0.5
"""What a connection to an endpoint may take: within a continent it takes a tenth of it."""

AWAY_S = 30.0
"""For how long an endpoint that could not be reached is not tried again."""

_FAILURES_MAX = 3


class Paths:
    """Which endpoints can be reached from here, as far as it was tried."""

    def __init__(self) -> None:
        self._away_until_s: dict[str, float] = {}
        self._failures = 0  # in a row
        self._pause_until_s = float("-inf")
        self._lock = threading.Lock()

    def may_ask(self, now_s: float) -> bool:
        """Whether a placement is worth asking for."""
        return now_s >= self._pause_until_s

    def may_try(self, address: str, now_s: float) -> bool:
        """Whether an endpoint is worth connecting to."""
        return now_s >= self._away_until_s.get(address, now_s)

    def failed(self, address: str, now_s: float) -> None:
        """It could not be reached."""
        with self._lock:
            away = {at: until for at, until in self._away_until_s.items() if until > now_s}
            self._away_until_s = away | {address: now_s + AWAY_S}
        self.missed(now_s)

    def missed(self, now_s: float) -> None:
        """A placement was of no use. After some in a row none is asked for, for a while."""
        with self._lock:
            self._failures += 1
            if self._failures >= _FAILURES_MAX:
                self._pause_until_s = now_s + AWAY_S

    def reached(self, address: str) -> None:
        """A connection to it stands."""
        self._failures = 0
        if address in self._away_until_s:
            with self._lock:
                self._away_until_s.pop(address, None)

    def not_offered(self, now_s: float) -> None:
        """The router knows no placements: it is not asked again at once."""
        self._pause_until_s = now_s + AWAY_S
