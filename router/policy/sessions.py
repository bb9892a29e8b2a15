"""Where each session is placed, and how much of its history is in that endpoint's cache.

The table is a hint: a router that loses it places sessions afresh. It is bounded in size (the least
recently used session goes first) and in age (a cache that nobody used for so long is evicted).
"""

from collections import OrderedDict
from collections.abc import Iterator

from router.policy.fleet import Limits
from router.policy.hint import Hint

_EXPIRED_PER_TICK = 1_000  # bounded work: a tick takes under a millisecond
_TURNS_AHEAD_MAX = 8.0


class Session:
    """One session's placement. Slots, because a router holds a hundred thousand of them."""

    __slots__ = (
        "block",
        "blocks",
        "cached_tokens",
        "endpoint",
        "model",
        "moved_ns",
        "moves",
        "output_tokens",
        "turns",
        "used_ns",
    )

    def __init__(self, endpoint: str, now: int) -> None:
        self.endpoint = endpoint
        self.model = ""  # the version that it has of what it asks for; empty where it has none
        self.used_ns = now
        self.moved_ns = now
        self.turns = 0
        self.moves = 0  # to another endpoint
        self.output_tokens = 0
        self.cached_tokens = 0
        self.blocks = 0  # full blocks of the last prompt, and the hash of the last of them
        self.block = 0

    def cached_of(self, prompt_tokens: int, prefix: tuple[int, ...]) -> int:
        """Tokens of this prompt that are cached at the placement, if it goes on from the last.

        Without hashes a longer prompt is taken to continue the last one.
        """
        if prefix and self.blocks:
            goes_on = len(prefix) >= self.blocks and prefix[self.blocks - 1] == self.block
            return self.cached_tokens if goes_on else 0
        return self.cached_tokens if prompt_tokens >= self.cached_tokens else 0


class Sessions:
    """The placements of all sessions, least recently used first."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._table: OrderedDict[str, Session] = OrderedDict()
        self._placed: dict[str, int] = {}  # sessions by endpoint; no zero is kept
        self._started = 0
        self._turns = 0

    def __len__(self) -> int:
        return len(self._table)

    def adopt(self, limits: Limits) -> None:
        """The limits are others; the oldest go where there are too many."""
        self._limits = limits
        while len(self._table) > limits.sessions_max:
            self._drop(next(iter(self._table)))

    def find(self, name: str, now: int) -> Session | None:
        """The session of this name, unless it has aged out."""
        session = self._table.get(name)
        if session is None or now - session.used_ns > self._limits.session_age_max_ns:
            return None
        return session

    def look_up(self, name: str, hint: Hint | None, now: int) -> Session | None:
        """The session of this name, or what another router says of it where that is newer.

        Reading a hint changes nothing here: the session is placed once a turn of it is sent.
        """
        session = self.find(name, now)
        if hint is None or now - hint.used_ns > self._limits.session_age_max_ns:
            return session
        if session is not None and session.used_ns >= hint.used_ns:
            return session
        told = Session(hint.endpoint, hint.used_ns)
        told.cached_tokens, told.blocks, told.block = hint.cached_tokens, hint.blocks, hint.block
        return told

    def hint(self, name: str) -> Hint | None:
        """The same for another router."""
        session = self._table.get(name)
        if session is None:
            return None
        return Hint(
            session.endpoint,
            session.used_ns,
            session.cached_tokens,
            session.blocks,
            session.block,
        )

    def get(self, name: str) -> Session | None:
        """The session of this name, however old."""
        return self._table.get(name)

    def place(self, name: str, endpoint: str, now: int) -> Session:
        """A turn of the session goes to this endpoint."""
        session = self.find(name, now)
        if session is None:
            self._drop(name)
            session = self._table[name] = Session(endpoint, now)
            self._placed[endpoint] = self._placed.get(endpoint, 0) + 1
            self._started += 1
            if len(self._table) > self._limits.sessions_max:
                self._drop(next(iter(self._table)))
        elif session.endpoint != endpoint:
            self._unplace(session.endpoint)
            self._placed[endpoint] = self._placed.get(endpoint, 0) + 1
            session.endpoint = endpoint
            session.moved_ns = now
            session.moves += 1
            session.cached_tokens = 0
        self._table.move_to_end(name)
        session.used_ns = now
        session.turns += 1
        self._turns += 1
        return session

    def generated(self, name: str, tokens: int) -> None:
        """An attempt at a turn of the session has ended after so many tokens."""
        session = self._table.get(name)
        if session is not None:
            session.output_tokens += tokens

    def recent(self, now: int) -> Iterator[tuple[str, Session]]:
        """Those that have not aged out, the most recently used first."""
        for name, session in reversed(self._table.items()):
            if now - session.used_ns > self._limits.session_age_max_ns:
                return
            yield name, session

    def turns_ahead(self) -> float:
        """How many more turns a session is expected to take: as many as sessions take on average.

        That is what a memoryless session would do, and few are far from it.
        """
        return min(_TURNS_AHEAD_MAX, self._turns / self._started) if self._started else 1.0

    def placed_at(self, endpoint: str) -> int:
        """How many sessions are placed at an endpoint."""
        return self._placed.get(endpoint, 0)

    def expire(self, now: int) -> None:
        """Drop sessions that have aged out, a bounded number at a time."""
        for _ in range(_EXPIRED_PER_TICK):
            if not self._table:
                return
            name, session = next(iter(self._table.items()))
            if now - session.used_ns <= self._limits.session_age_max_ns:
                return
            self._drop(name)

    def _drop(self, name: str) -> None:
        session = self._table.pop(name, None)
        if session is not None:
            self._unplace(session.endpoint)

    def _unplace(self, endpoint: str) -> None:
        left = self._placed[endpoint] - 1
        if left:
            self._placed[endpoint] = left
        else:
            del self._placed[endpoint]
