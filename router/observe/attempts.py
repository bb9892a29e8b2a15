"""Follows each attempt from its decision to its end, for sinks that count by site."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from router.observe.event import Event, OutcomeSeen
from router.policy.decision import Send
from router.policy.outcome import Ended, FirstToken


class AttemptListener(Protocol):
    """Hears of attempts by the site where they run."""

    def on_first_token(self, site: str, ttft_ns: int, now_ns: int) -> None:
        """The first message came, `ttft_ns` after the attempt was sent."""
        ...

    def on_ended(self, site: str, ended: Ended, itl_ns: int | None, now_ns: int) -> None:
        """The attempt is over. `itl_ns` is the mean gap between its tokens, if it had gaps."""
        ...


@dataclass(slots=True)
class _Open:
    site: str
    ttft_ns: int | None = None


class Attempts:
    """The sink that tells the listeners. It remembers what is in flight, and nothing else."""

    def __init__(self, listeners: Sequence[AttemptListener]) -> None:
        self._listeners = listeners
        self._open: dict[str, _Open] = {}

    def __len__(self) -> int:
        return len(self._open)

    def on_event(self, event: Event) -> None:
        """See Sink."""
        if isinstance(event.happening, OutcomeSeen):
            outcome = event.happening.outcome
            if isinstance(outcome, FirstToken):
                self._on_first_token(outcome, event.now_ns)
            else:
                self._on_ended(outcome, event.now_ns)
        for decision in (event.decision, *event.released):
            if isinstance(decision, Send):
                self._open[decision.request] = _Open(decision.site)

    def _on_first_token(self, first: FirstToken, now_ns: int) -> None:
        attempt = self._open.get(first.request)
        if attempt is None:
            return
        attempt.ttft_ns = first.ttft_ns
        for listener in self._listeners:
            listener.on_first_token(attempt.site, first.ttft_ns, now_ns)

    def _on_ended(self, ended: Ended, now_ns: int) -> None:
        attempt = self._open.pop(ended.request, None)
        if attempt is None:
            return
        itl_ns = None
        if attempt.ttft_ns is not None and ended.output_tokens > 1:
            itl_ns = (ended.duration_ns - attempt.ttft_ns) // (ended.output_tokens - 1)
        for listener in self._listeners:
            listener.on_ended(attempt.site, ended, itl_ns, now_ns)
