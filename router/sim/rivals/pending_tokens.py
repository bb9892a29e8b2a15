"""Prompt tokens that were sent and have no first token yet: a router's own view of the queues."""


class PendingTokens:
    """Tokens to be prefilled, by endpoint."""

    def __init__(self) -> None:
        self._sent: dict[str, tuple[str, int]] = {}
        self._tokens: dict[str, int] = {}

    def tokens(self, endpoint: str) -> int:
        """What an endpoint has before it."""
        return self._tokens.get(endpoint, 0)

    def on_send(self, request: str, endpoint: str, tokens: int) -> None:
        """A request was sent."""
        self._sent[request] = endpoint, tokens
        self._tokens[endpoint] = self.tokens(endpoint) + tokens

    def on_started(self, request: str) -> None:
        """A request has its first token, or failed without; no effect the second time."""
        endpoint, tokens = self._sent.pop(request, ("", 0))
        if tokens:
            self._tokens[endpoint] -= tokens
