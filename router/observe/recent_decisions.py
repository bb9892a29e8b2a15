"""The last decisions, and how many turns went to each site in which way: what a person watches."""

from collections import deque
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from router.observe.event import AskedAgain, Event, FleetChanged, RequestArrived, Started
from router.policy.decision import Decision, Mode, Rule, Send

KEPT_MAX: Final = 100
"""What a person who has just come may read back; with its candidates a decision takes some KB."""


SITES_MAX: Final = 256
"""Whose flow is counted, those that a reload took out among them."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A decision, when it was made and for which session."""

    number: int  # from 1, without gaps
    unix_ns: int
    session: str  # empty: of none, or not known: the request waited, or was tried again
    decision: Decision


@dataclass(slots=True)
class Flow:
    """Turns sent to one site since the router started. Each is counted in one of these."""

    settled: int = 0  # as home or as the session's placement
    overflow: int = 0  # because home was predicted to miss
    returned: int = 0  # sessions that came back
    resumed: int = 0  # streams that went on here


@dataclass(slots=True)
class RecentDecisions:
    """The sink that keeps them. No reason is put in words before somebody reads it."""

    flows: dict[str, Flow] = field(default_factory=dict)
    count: int = 0  # of all decisions so far
    _kept: deque[Recorded] = field(default_factory=lambda: deque(maxlen=KEPT_MAX))
    _unix_less_now_ns: int = 0

    def on_event(self, event: Event) -> None:
        """See Sink."""
        happening, session = event.happening, ""
        if isinstance(happening, Started):
            self._unix_less_now_ns = happening.unix_ns - event.now_ns
            self.flows = {site.name: Flow() for site in happening.fleet.sites}
        elif isinstance(happening, FleetChanged):
            for site in happening.fleet.sites:
                flow = self.flows.pop(site.name) if site.name in self.flows else Flow()
                self.flows[site.name] = flow
            while len(self.flows) > max(SITES_MAX, len(happening.fleet.sites)):
                del self.flows[next(iter(self.flows))]
        elif isinstance(happening, RequestArrived):
            session = happening.request.session
        elif isinstance(happening, AskedAgain):
            session = happening.again.request.session
        if event.decision is not None:
            self._keep(event.decision, session, event.now_ns)
        for decision in event.released:
            self._keep(decision, "", event.now_ns)

    def since(self, number: int, most: int) -> list[Recorded]:
        """The decisions after this one, the latest `most` of them, oldest first."""
        new = min(self.count - number, most, len(self._kept))
        return [*islice(reversed(self._kept), max(0, new))][::-1]

    def _keep(self, decision: Decision, session: str, now_ns: int) -> None:
        self.count += 1
        unix_ns = self._unix_less_now_ns + now_ns
        self._kept.append(Recorded(self.count, unix_ns, session, decision))
        if isinstance(decision, Send):
            _count(self.flows[decision.site], decision)


def flow_of(send: Send) -> str:
    """In which way it sends a turn: the name of that in Flow."""
    if send.mode is not Mode.FRESH:
        return "resumed"
    return {Rule.OVERFLOW: "overflow", Rule.SPILL_BACK: "returned"}.get(send.rule, "settled")


def _count(flow: Flow, send: Send) -> None:
    way = flow_of(send)
    setattr(flow, way, getattr(flow, way) + 1)
