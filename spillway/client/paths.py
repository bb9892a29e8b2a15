"""Which endpoints can be reached from here, as far as it was tried."""

import threading
from typing import NamedTuple

CONNECT_S = 0.5
"""What a connection to an endpoint may take: within a continent it takes a tenth of it."""

AWAY_S = 30.0
"""For how long an endpoint that could not be reached is not tried again."""

_FAILURES_MAX = 3


class Way(NamedTuple):
    """The way to an endpoint: an address, and what its server is called there.

    Behind the door of a site all endpoints have one address, and a name each.
    """

    address: str
    authority: str = ""  # empty: the address


class Paths:
    """Which endpoints can be reached from here, as far as it was tried."""

    def __init__(self) -> None:
        self._away_until_s: dict[Way, float] = {}
        self._failures = 0  # in a row
        self._pause_until_s = float("-inf")
        self._lock = threading.Lock()

    def may_ask(self, now_s: float) -> bool:
        """Whether a placement is worth asking for."""
        return now_s >= self._pause_until_s

    def may_try(self, way: Way, now_s: float) -> bool:
        """Whether an endpoint is worth connecting to."""
        return now_s >= self._away_until_s.get(way, now_s)

    def failed(self, way: Way, now_s: float) -> None:
        """It could not be reached."""
        with self._lock:
            away = {at: until for at, until in self._away_until_s.items() if until > now_s}
            self._away_until_s = away | {way: now_s + AWAY_S}
        self.missed(now_s)

    def missed(self, now_s: float) -> None:
        """A placement was of no use. After some in a row none is asked for, for a while."""
        with self._lock:
            self._failures += 1
            if self._failures >= _FAILURES_MAX:
                self._pause_until_s = now_s + AWAY_S

    def reached(self, way: Way) -> None:
        """A connection to it stands."""
        self._failures = 0
        if way in self._away_until_s:
            with self._lock:
                self._away_until_s.pop(way, None)

    def not_offered(self, now_s: float) -> None:
        """The router knows no placements: it is not asked again at once."""
        self._pause_until_s = now_s + AWAY_S
