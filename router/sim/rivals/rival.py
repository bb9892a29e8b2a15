"""What every rival has: the endpoints it may choose, and its own count of what it sent where."""

import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from router.policy.decision import Decision, Refuse, Rule, Send
from router.policy.endpoint import Endpoint
from router.policy.load import LoadReport
from router.policy.outcome import End, Ended, FirstToken, Outcome
from router.policy.request import Request
from router.sim.policy import Hold

ATTEMPTS_MAX = 3  # as ours, so that no rival loses by giving up earlier


class Rival(ABC):
    """A policy that only has to choose. Subclasses give `choose`, and learn in the `saw_` methods.

    A rival avoids endpoints whose connection is down, as each of them does in its own product, and
    tries a request that failed before its first token at another endpoint.
    """

    report_interval_ns: ClassVar[int | None] = None
    """How often it hears of an endpoint's load as published; None: it does not ask."""

    def __init__(self) -> None:
        self.endpoints: dict[str, Endpoint] = {}
        self.in_flight: dict[str, int] = {}
        self._down: set[str] = set()
        self._draining: set[str] = set()
        self._lent: dict[str, frozenset[str]] = {}  # by site
        self._flights: dict[str, tuple[Request, int, tuple[str, ...]]] = {}

    @abstractmethod
    def choose(
        self, request: Request, usable: list[str], now: int, rng: random.Random
    ) -> str | Hold:
        """One of `usable`, which is not empty and in the order of listing; or keep it waiting."""

    def saw_send(self, request: Request, endpoint: str, now: int) -> None:  # noqa: B027
        """A request was sent. Most rivals need not know; so too below."""

    def saw_first_token(self, request: Request, outcome: FirstToken, now: int) -> None:  # noqa: B027
        """A first token came back."""

    def saw_end(self, request: Request, outcome: Ended, now: int) -> None:  # noqa: B027
        """An attempt ended."""

    def saw_refused(self, request: Request, now: int) -> None:  # noqa: B027
        """No endpoint was usable."""

    def saw_lost(self, endpoint: str, now: int) -> None:  # noqa: B027
        """An endpoint is gone or was lost, and its cache with it."""

    def on_endpoint_up(self, endpoint: Endpoint, now: int) -> None:
        """See router.sim.policy.Policy, also for the methods below."""
        _ = now
        self.endpoints[endpoint.name] = endpoint
        self.in_flight.setdefault(endpoint.name, 0)

    def on_endpoint_gone(self, name: str, now: int) -> None:
        """An endpoint is no longer listed."""
        self.endpoints.pop(name, None)
        self.saw_lost(name, now)

    def on_connection(self, endpoint: str, connected: bool, now: int) -> None:
        """The connection to an endpoint was lost or made."""
        (self._down.discard if connected else self._down.add)(endpoint)
        if not connected:
            self.saw_lost(endpoint, now)

    def on_rtt(self, endpoint: str, rtt_ns: int, now: int) -> None:  # noqa: B027
        """A round trip was measured."""

    def on_load(self, report: LoadReport, now: int) -> None:  # noqa: B027
        """A load report was heard."""

    def on_tick(self, now: int) -> None:  # noqa: B027
        """About a second has passed."""

    def on_drain(self, site: str, draining: bool, now: int) -> None:
        """A site stops or resumes taking new turns."""
        _ = now
        (self._draining.add if draining else self._draining.discard)(site)

    def on_site_lease(self, site: str, ending: bool, now: int) -> None:
        """The lease of a site ends soon: the site drains."""
        self.on_drain(site, ending, now)

    def on_lend(self, site: str, endpoints: Sequence[str], now: int) -> None:
        """These endpoints of a site, and no others, are lent: as good as down."""
        _ = now
        self._lent[site] = frozenset(endpoints)

    def release(self, now: int, rng: random.Random) -> tuple[Decision, ...]:
        """Nothing: what a rival keeps waiting it is asked about again."""
        _ = now, rng
        return ()

    @property
    def release_ns(self) -> int | None:
        """Never."""
        return None

    def on_request(self, request: Request, now: int, rng: random.Random) -> Decision | Hold:
        """Where a request goes."""
        return self._send(request, 1, (), now, rng)

    def on_outcome(self, outcome: Outcome, now: int, rng: random.Random) -> Decision | Hold | None:
        """Learn from an outcome; a failed attempt goes elsewhere."""
        request, attempt, tried = self._flights[outcome.request]
        if isinstance(outcome, FirstToken):
            self.saw_first_token(request, outcome, now)
            return None
        del self._flights[outcome.request]
        self.in_flight[outcome.endpoint] -= 1
        self.saw_end(request, outcome, now)
        if outcome.end is End.OK:
            return None
        if outcome.messages or attempt == ATTEMPTS_MAX:
            return Refuse(request.id, Rule.NO_RETRY, "", request.slo, (), 0)
        return self._send(request, attempt + 1, (*tried, outcome.endpoint), now, rng)

    def _send(
        self, request: Request, attempt: int, tried: tuple[str, ...], now: int, rng: random.Random
    ) -> Decision | Hold:
        usable = [
            name
            for name, endpoint in self.endpoints.items()
            if name not in self._down
            and name not in tried
            and endpoint.site not in self._draining
            and name not in self._lent.get(endpoint.site, ())
            and endpoint.serves(request.model)
        ]
        if not usable:
            self.saw_refused(request, now)
            return Refuse(request.id, Rule.NO_ENDPOINT, "", request.slo, (), 0)
        name = self.choose(request, usable, now, rng)
        if isinstance(name, Hold):
            return name
        self.in_flight[name] += 1
        self._flights[request.id] = (request, attempt, tried)
        self.saw_send(request, name, now)
        site = self.endpoints[name].site
        return Send(request.id, name, site, Rule.ONLY, request.slo, 0, (), attempt)
