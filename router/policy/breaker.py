"""When to leave a failing endpoint alone, and how to come back to it.

Closed, it lets everything through. After `breaker_failures` failures in a row it opens for
`breaker_open_ns`. It then lets a single request probe; a first token closes it, a failure opens it
for twice as long, up to `breaker_open_max_ns`. Only a request that ends well clears the memory of
failures, so an endpoint that gives first tokens and then breaks streams opens again at its next
failure. A lost connection needs no counting: it is known at once and handled by whoever holds it;
what the breaker adds is that the endpoint is probed, not flooded, once it is connected again.
"""

from router.policy.fleet import Limits


class Breaker:
    """The breaker of one endpoint."""

    __slots__ = (
        "_failures",
        "_open_until",
        "_pause_ns",
        "_probing",
        "is_closed",
        "is_full",
        "limits",
    )

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._failures = 0
        self._pause_ns = limits.breaker_open_ns
        self._open_until = 0
        self._probing = False
        self.is_closed = True
        self.is_full = False  # what the pause is for: the endpoint is full, and not failing

    def allows(self, now: int) -> bool:
        """Whether a request may be sent at `now`."""
        return self.is_closed or (now >= self._open_until and not self._probing)

    def is_open(self, now: int) -> bool:
        """Whether it is still within its pause."""
        return not self.is_closed and now < self._open_until

    def closes_in_ns(self, now: int) -> int:
        """How long until a request may probe."""
        return 0 if self.is_closed else max(0, self._open_until - now)

    def on_send(self) -> bool:
        """A request is sent; True if it is the probe, whose end must be told with `was_probe`."""
        if self.is_closed:
            return False
        self._probing = True
        return True

    def on_first_token(self, now: int) -> None:
        """The endpoint answered. A pause runs its course; one more failure opens it again."""
        if now >= self._open_until:
            self.is_closed = True

    def on_end(self, *, ok: bool | None, was_probe: bool, now: int) -> None:
        """A request ended well, badly, or (None) in a way that says nothing of the endpoint."""
        if was_probe:
            self._probing = False
        if ok is None:
            return
        if ok:
            self.on_first_token(now)
            self._failures = 0
            self._pause_ns = self.limits.breaker_open_ns
            return
        self._failures += 1
        if self._failures >= self.limits.breaker_failures and not self.is_open(now):
            self._open(now)

    def on_reconnected(self, now: int) -> None:
        """The connection was lost and is back: probe before trusting it."""
        self.is_closed = self.is_full = False
        self._open_until = now
        self._failures = max(self._failures, self.limits.breaker_failures - 1)

    def pause(self, now: int, pause_ns: int) -> None:
        """The endpoint says that it is full: leave it alone for so long, then probe."""
        self.is_full = self.is_full or not self.is_open(now)
        self.is_closed = False
        self._open_until = max(self._open_until, now + pause_ns)

    def _open(self, now: int) -> None:
        self.is_closed = self.is_full = False
        self._open_until = now + self._pause_ns
        self._pause_ns = min(self.limits.breaker_open_max_ns, 2 * self._pause_ns)
