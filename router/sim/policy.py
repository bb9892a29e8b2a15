"""What the simulator drives: the entry points of RouterCore, so that rivals can stand in for it."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from router.policy.decision import Decision
from router.policy.endpoint import Endpoint
from router.policy.load import LoadReport
from router.policy.outcome import Outcome
from router.policy.request import Request


@dataclass(frozen=True, slots=True)
class Hold:
    """The request stays in the router's queue and is decided again at `until_ns`."""

    request: str
    until_ns: int


class Policy(Protocol):
    """A router's decisions. See router.policy.core.RouterCore, which is one."""

    def on_endpoint_up(self, endpoint: Endpoint, now: int) -> None:
        """An endpoint is listed."""
        ...

    def on_endpoint_gone(self, name: str, now: int) -> None:
        """An endpoint is no longer listed."""
        ...

    def on_connection(self, endpoint: str, connected: bool, now: int) -> None:
        """The connection to an endpoint was lost or made."""
        ...

    def on_rtt(self, endpoint: str, rtt_ns: int, now: int) -> None:
        """A round trip was measured."""
        ...

    def on_load(self, report: LoadReport, now: int) -> None:
        """A load report was heard."""
        ...

    def on_drain(self, site: str, draining: bool, now: int) -> None:
        """A site stops or resumes taking new turns."""
        ...

    def on_lend(self, site: str, endpoints: Sequence[str], now: int) -> None:
        """These endpoints of a site, and no others, are lent to other work."""
        ...

    def on_site_lease(self, site: str, ending: bool, now: int) -> None:
        """The lease of a site ends soon."""
        ...

    def on_request(self, request: Request, now: int, rng: random.Random) -> Decision | Hold:
        """Where a request goes."""
        ...

    def on_outcome(self, outcome: Outcome, now: int, rng: random.Random) -> Decision | Hold | None:
        """Learn from an outcome; a failed attempt gets its next action."""
        ...

    def on_tick(self, now: int) -> None:
        """About a second has passed."""
        ...

    def release(self, now: int, rng: random.Random) -> tuple[Decision, ...]:
        """What becomes of requests that were told to wait; asked after every other call."""
        ...

    @property
    def release_ns(self) -> int | None:
        """By when it must be asked at the latest; None while nothing waits."""
        ...
