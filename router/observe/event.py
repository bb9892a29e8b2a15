"""The one event type: everything that the core was told, and what it answered.

An event is a call of `RouterCore` written down: its argument, the time that was passed with it, the
decision that came back, and what became of those who waited. Together with the `Started` before
them, which holds the fleet and the seed of the randomness, the events of a router can be told to a
new core, which must answer the same (see `router.observe.replay`).
"""

from dataclasses import dataclass
from typing import Protocol

from router.policy.allowance import Granted
from router.policy.charge import Charge
from router.policy.decision import Decision
from router.policy.endpoint import Endpoint
from router.policy.fleet import Fleet
from router.policy.lease import LeaseClaim
from router.policy.load import LoadReport
from router.policy.loan import SiteLoans
from router.policy.month_cap import Spent
from router.policy.outcome import Outcome
from router.policy.recovery import Again
from router.policy.request import Request


@dataclass(frozen=True, slots=True)
class Started:
    """A router process started. Always its first event."""

    router: str
    unix_ns: int  # the wall clock, so that the others' times can be related to it
    seed: int  # of the `random.Random` that is passed to the core
    fleet: Fleet


@dataclass(frozen=True, slots=True)
class FleetChanged:
    """The fleet file was read again, and the fleet is another one."""

    fleet: Fleet


@dataclass(frozen=True, slots=True)
class EndpointUp:
    """An endpoint is listed, was reached and said what it serves."""

    endpoint: Endpoint


@dataclass(frozen=True, slots=True)
class EndpointGone:
    """An endpoint is no longer listed."""

    name: str


@dataclass(frozen=True, slots=True)
class ConnectionChanged:
    """A connection was made or lost."""

    endpoint: str
    connected: bool
    silent: bool = False  # lost because nothing came any more


@dataclass(frozen=True, slots=True)
class RoundTripMeasured:
    """A round trip to an endpoint took this long."""

    endpoint: str
    rtt_ns: int


@dataclass(frozen=True, slots=True)
class LoadHeard:
    """An endpoint reported its load."""

    report: LoadReport


@dataclass(frozen=True, slots=True)
class DrainChanged:
    """An operator drained a site, or took the drain back."""

    site: str
    draining: bool


@dataclass(frozen=True, slots=True)
class LoansChanged:
    """What operators lend of a site, or have taken back, beside its schedule.

    Which endpoints are away for it is told by itself.
    """

    site: str
    loans: SiteLoans
    why: str = ""  # where no operator said it


@dataclass(frozen=True, slots=True)
class LendChanged:
    """A site lends these endpoints, and no others."""

    site: str
    endpoints: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SiteLeaseChanged:
    """A site's lease ends so soon that nothing new is begun there, or does not any more."""

    site: str
    ending: bool


@dataclass(frozen=True, slots=True)
class StoreHeard:
    """The store of what routers share answered, or was lost, or is given back what it gave."""

    routers: int  # that it counts; 0: it is away
    granted: tuple[Granted, ...] = ()


@dataclass(frozen=True, slots=True)
class SpentHeard:
    """The ledger says what others have spent this month, or that another month begins."""

    spent: Spent


@dataclass(frozen=True, slots=True)
class RequestArrived:
    """A request came; the event's decision says where it went."""

    request: Request


@dataclass(frozen=True, slots=True)
class AskedAgain:
    """A stream that had begun, and had nowhere to go on, asks whether it has by now."""

    again: Again


@dataclass(frozen=True, slots=True)
class RequestWithdrawn:
    """The client of a request that waits in the router has gone."""

    request: str


@dataclass(frozen=True, slots=True)
class HedgeDue:
    """A request has no first token by the time at which it may be sent to a second site."""

    request: str


@dataclass(frozen=True, slots=True)
class QuarantineReleased:
    """An operator let a prompt in again."""

    fingerprint: str


@dataclass(frozen=True, slots=True)
class RolloutChanged:
    """A roll-out was taken back for a reason, or resumed where none is given.

    By an operator, or by another process of this router. What the core itself finds is no event:
    it follows from the outcomes before.
    """

    name: str
    why: str = ""
    new: str = ""  # the version that it is said of; empty: whichever is the new one


@dataclass(frozen=True, slots=True)
class LeaseClaimed:
    """The client of a request that was placed said what became of it."""

    claim: LeaseClaim


@dataclass(frozen=True, slots=True)
class OutcomeSeen:
    """An attempt gave its first token or ended; a decision says what follows a failed one."""

    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Ticked:
    """Time passed."""


Happening = (
    Started
    | FleetChanged
    | EndpointUp
    | EndpointGone
    | ConnectionChanged
    | RoundTripMeasured
    | LoadHeard
    | DrainChanged
    | LoansChanged
    | LendChanged
    | SiteLeaseChanged
    | StoreHeard
    | SpentHeard
    | RequestArrived
    | AskedAgain
    | RequestWithdrawn
    | HedgeDue
    | QuarantineReleased
    | RolloutChanged
    | LeaseClaimed
    | OutcomeSeen
    | Ticked
)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, when, and what the core decided on it."""

    sequence: int  # from 0, without gaps
    now_ns: int  # the router's monotonic clock
    happening: Happening
    decision: Decision | None = None
    released: tuple[Decision, ...] = ()  # of requests that waited
    charges: tuple[Charge, ...] = ()  # of attempts that it ended; a replay makes them again


class Sink(Protocol):
    """Where events go. It returns at once and never raises."""

    def on_event(self, event: Event) -> None:
        """Takes an event."""
        ...
