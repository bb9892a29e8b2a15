"""Follows each attempt from its decision to its end, for sinks that count by site.

What a client takes to its endpoint by itself is no attempt of this router's: nothing tells its end.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from router.observe.event import Event, OutcomeSeen, RequestArrived, RequestWithdrawn
from router.policy.decision import Decision, Send, Wait
from router.policy.outcome import Ended, FirstToken


class AttemptListener(Protocol):
    """Hears of attempts by the site where they run."""

    def on_first_token(self, site: str, first: FirstToken, now_ns: int) -> None:
        """The first message came."""
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
        self._direct: set[str] = set()  # requests that wait for their placement

    def __len__(self) -> int:
        return len(self._open) + len(self._direct)

    def on_event(self, event: Event) -> None:
        """See Sink."""
        happening = event.happening
        if isinstance(happening, OutcomeSeen):
            if isinstance(happening.outcome, FirstToken):
                self._on_first_token(happening.outcome, event.now_ns)
            else:
                self._on_ended(happening.outcome, event.now_ns)
        elif isinstance(happening, RequestWithdrawn):
            self._direct.discard(happening.request)
        if not (isinstance(happening, RequestArrived) and happening.request.direct):
            self._on_decision(event.decision)
        elif isinstance(event.decision, Wait):
            self._direct.add(happening.request.id)
        for decision in event.released:
            if decision.request in self._direct:
                self._direct.remove(decision.request)
            else:
                self._on_decision(decision)

    def _on_decision(self, decision: Decision | None) -> None:
        if isinstance(decision, Send):
            self._open[decision.request] = _Open(decision.site)

    def _on_first_token(self, first: FirstToken, now_ns: int) -> None:
        attempt = self._open.get(first.request)
        if attempt is None:
            return
        attempt.ttft_ns = first.ttft_ns
        for listener in self._listeners:
            listener.on_first_token(attempt.site, first, now_ns)

    def _on_ended(self, ended: Ended, now_ns: int) -> None:
        attempt = self._open.pop(ended.request, None)
        if attempt is None:
            return
        itl_ns = None
        if attempt.ttft_ns is not None and ended.output_tokens > 1:
            itl_ns = (ended.duration_ns - attempt.ttft_ns) // (ended.output_tokens - 1)
        for listener in self._listeners:
            listener.on_ended(attempt.site, ended, itl_ns, now_ns)
