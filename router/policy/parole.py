"""Requests with a suspected prompt: they wait until they may go, one to an endpoint.

See `router.policy.quarantine` for who is suspected. What is kept here is the next attempt of each,
in the order in which they came; there are never more than the router has requests.
"""

from router.policy.decision import Wait
from router.policy.recovery import Again
from router.policy.rule import Rule


class Parole:
    """Suspected requests of one router: those that wait, and where the others run."""

    def __init__(self) -> None:
        self._waiting: dict[str, Again] = {}
        self._running: dict[str, str] = {}  # endpoints by request

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, request: str) -> bool:
        return request in self._waiting

    def waiting(self) -> list[Again]:
        """Who waits, in the order of coming."""
        return list(self._waiting.values())

    def keep(self, again: Again) -> Wait:
        """A suspected request waits."""
        request = again.request
        self._waiting[request.id] = again
        reason = "engines crashed under this prompt, and it waits to be tried alone"
        return Wait(request.id, Rule.SUSPECT, reason, request.slo, request.tenant, (), 0)

    def leave(self, request: str) -> None:
        """It waits no more. No effect on one that does not."""
        self._waiting.pop(request, None)

    def on_send(self, request: str, endpoint: str) -> None:
        """A suspected request runs at an endpoint."""
        self._running[request] = endpoint

    def on_end(self, request: str) -> None:
        """An attempt of some request is over."""
        self._running.pop(request, None)

    @property
    def taken(self) -> tuple[str, ...]:
        """The endpoints that have a suspect."""
        return tuple(self._running.values())
