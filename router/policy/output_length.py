"""How many tokens a request will produce: unknown until it ends, so learned by class.

What is learned is the mean length of the class's recent outputs; a request's own limit bounds it.
Before anything is known, half the limit is expected, but no more than a typical answer.
"""

_TYPICAL_TOKENS = 256
_MEMORY = 64  # outputs that the mean goes back


class OutputLength:
    """The mean output length of one class of requests."""

    __slots__ = ("_count", "_mean")

    def __init__(self) -> None:
        self._mean = 0.0
        self._count = 0

    def add(self, tokens: int) -> None:
        """Observe the length of an output that ended by itself."""
        self._count += 1
        self._mean += (tokens - self._mean) / min(_MEMORY, self._count)

    def expected(self, max_new_tokens: int) -> float:
        """The expected length under this limit; at least one token."""
        typical = self._mean if self._count else min(_TYPICAL_TOKENS, max_new_tokens / 2)
        return max(1.0, min(typical, max_new_tokens))
