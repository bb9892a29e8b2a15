"""What other routers have probably sent to an endpoint since its last report.

Between two reports a router sees its own dispatches and nobody else's. Others in front of the same
endpoints see the same reports, follow the same rules and are asked by the same crowd, so they do
about as this one does: for each request that it sends, they send as many as they have there for
each of its own. Counted like that, each of sixteen routers fills a sixteenth of the room that a
report shows, where each would fill all of it. The next report says what they did, and the count
begins anew.
"""

_MEMORY = 0.9  # of what reports before the last one said
_MOST = 32.0  # routers: beyond it, the ratio is that of somebody who hardly sends there


class Echo:
    """Others' requests at one endpoint, for each of this router's own."""

    __slots__ = ("_others", "_own", "_ratio", "streams", "tokens")

    def __init__(self) -> None:
        self._own = self._others = 0.0
        self._ratio = 0.0
        self.streams = 0.0  # others' requests since the last report, as far as they can be guessed
        self.tokens = 0.0  # and their prompt tokens to be prefilled

    def on_send(self, uncached_tokens: int) -> None:
        """This router sends a request."""
        self.streams += self._ratio
        self.tokens += self._ratio * uncached_tokens

    def on_report(self, own: int, others: int) -> None:
        """A report counts so many of this router's requests and of others'."""
        self._own = _MEMORY * self._own + own
        self._others = _MEMORY * self._others + others
        self._ratio = min(_MOST, self._others / self._own) if self._own else 0.0
        self.streams = self.tokens = 0.0
