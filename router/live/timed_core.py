"""The core in real time: the one clock, one source of randomness, and an event for each call."""

import asyncio
import logging
import random
import time
from typing import TYPE_CHECKING, NamedTuple

from router.observe.event import (
    Event,
    Happening,
    LeaseClaimed,
    OutcomeSeen,
    RequestWithdrawn,
    Sink,
    Started,
    Ticked,
)
from router.observe.tell import tell
from router.policy.allowance import Want
from router.policy.cached_prefixes import Changes
from router.policy.core import RouterCore
from router.policy.decision import Decision, Refuse, Rule, Send
from router.policy.fleet import Fleet
from router.policy.hint import Hint
from router.policy.lease import ClaimKind, LeaseClaim
from router.policy.outcome import End, Ended
from router.policy.request import Request
from router.policy.resume import ResumePoint
from router.policy.scaling.capacity import Sample
from router.policy.session_list import SessionPage, Wanted
from router.policy.snapshot import FleetSnapshot
from router.policy.units import seconds
from router.policy.vigil import Beat

if TYPE_CHECKING:
    from router.policy.charge import Charge

_log = logging.getLogger(__name__)


def now_ns() -> int:
    """The clock of the live router: monotonic, in nanoseconds."""
    return time.monotonic_ns()


class _Waiting(NamedTuple):
    """A request that was told to wait."""

    answer: asyncio.Future[Decision | None]
    direct: bool


class TimedCore:
    """A `RouterCore` that is told what happens, now. Used from one event loop."""

    def __init__(self, fleet: Fleet, router: str, sink: Sink) -> None:
        self._charges: list[Charge] = []  # of the call that is under way
        self._core = RouterCore(fleet, self._charges.append)
        seed = random.SystemRandom().getrandbits(64)
        self._rng = random.Random(seed)
        self._sink = sink
        self._sequence = 0
        self._started = Started(router, time.time_ns(), seed, fleet)
        self._waiting: dict[str, _Waiting] = {}
        self._look: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Writes the first event; before anything else is told."""
        self.tell(self._started)

    def tell(self, happening: Happening) -> Decision | None:
        """Tells the core and the sink; returns what the core decides.

        Whatever happens may make room: those who wait are released in the same breath.
        """
        now = now_ns()
        decision = tell(self._core, happening, now, self._rng)
        released = self._core.release(now, self._rng)
        for answer in (decision, *released):
            if isinstance(answer, Refuse) and answer.rule is Rule.QUARANTINED:
                _log.warning("%s is refused: %s", answer.request, answer.reason)
        event = Event(self._sequence, now, happening, decision, released, tuple(self._charges))
        self._charges.clear()
        self._sequence += 1
        self._sink.on_event(event)
        for answer in released:
            waiting = self._waiting.pop(answer.request, None)
            if waiting is None:  # the one that is being told of
                decision = answer
            elif waiting.answer.done():
                self._drop(answer, direct=waiting.direct)
            else:
                waiting.answer.set_result(answer)
        if self._look is None:
            self._look_again(now)
        return decision

    async def released(self, request: str, *, direct: bool = False) -> Decision | None:
        """What becomes of a request that was told to wait; None where it was withdrawn.

        Cancelled, it waits no more.
        `direct` is a request that its client would take to the endpoint: sent, it is a lease.
        """
        answer: asyncio.Future[Decision | None] = asyncio.get_running_loop().create_future()
        self._waiting[request] = _Waiting(answer, direct)
        try:
            return await answer
        except asyncio.CancelledError:
            if self._waiting.pop(request, None) is not None:
                self.tell(RequestWithdrawn(request))
            elif not answer.cancelled():
                self._drop(answer.result(), direct=direct)
            raise

    def withdraw(self, request: str) -> None:
        """A request waits no more, whoever asked what becomes of it. No effect if it does not."""
        waiting = self._waiting.pop(request, None)
        if waiting is not None:
            self.tell(RequestWithdrawn(request))
            if not waiting.answer.done():
                waiting.answer.set_result(None)

    def explain(self, request: Request) -> Decision:
        """The decision that this request would get now, without any effect."""
        return self._core.explain(request, now_ns(), self._same_rng())

    def leases_at(self, endpoint: str) -> tuple[str, ...]:
        """The requests that run at an endpoint and were brought there by their clients."""
        return self._core.leases.begun_at(endpoint)

    def patience(self, request: str) -> tuple[int, int]:
        """How long the client of a placed request should wait: see `RouterCore.patience`."""
        return self._core.patience(request, now_ns())

    def lease_refusal(self, request: Request) -> str:
        """Why a request should not be placed, but come through the router; empty if it may."""
        return self._core.leases.refusal(request.tenant)

    def _same_rng(self) -> random.Random:
        """What a decision would draw from, for one that is not made."""
        rng = random.Random()
        rng.setstate(self._rng.getstate())
        return rng

    def should_ask(self, beat: Beat) -> bool:
        """Whether an endpoint is to be asked whether it lives."""
        return self._core.should_ask(beat, now_ns())

    def given_up(self, beat: Beat) -> tuple[str, ...]:
        """The requests of a beat that will give nothing more, to be ended as STALLED."""
        return self._core.given_up(beat, now_ns())

    def is_draining(self, endpoint: str) -> bool:
        """Whether an endpoint takes no new turns."""
        return self._core.is_draining(endpoint)

    def may_move(self, request: str, point: ResumePoint | None) -> bool:
        """Whether a stream could go on elsewhere from this point."""
        return self._core.may_move(request, point, now_ns(), self._same_rng())

    def itl_objective_ns(self, slo: str) -> int:
        """How long a gap between tokens may be by the class that a decision names."""
        found = self._core.class_of(slo)
        if found is None:
            raise KeyError(slo)
        return found.itl_ns

    @property
    def router(self) -> str:
        """The id of this router."""
        return self._started.router

    def wants(self) -> tuple[Want, ...]:
        """What to ask of the store of what routers share."""
        return self._core.allowances.wants(now_ns())

    def held(self) -> tuple[tuple[str, float], ...]:
        """What this router may use of each bucket that is shared."""
        return self._core.allowances.held(now_ns())

    def cached_since(self, number: int) -> Changes:
        """What has changed since then in the prefixes that a router above is told of."""
        return self._core.cached.changes_since(number)

    def placement(self, session: str) -> Hint | None:
        """Where a session is placed, as another router may be told."""
        return self._core.placements.hint(session)

    def sessions(self, wanted: Wanted) -> SessionPage:
        """The sessions that are placed."""
        return self._core.placements.listed(wanted, now_ns())

    def scaling_sample(self) -> Sample:
        """What was asked of this router, and what its sites are doing."""
        return self._core.scaling.sample()

    def snapshot(self) -> FleetSnapshot:
        """The state of the fleet now."""
        return self._core.snapshot(now_ns())

    def _drop(self, answer: Decision | None, *, direct: bool) -> None:
        """Ends what was released to a client that has just gone."""
        if not isinstance(answer, Send):
            return
        if direct:  # a lease that nobody has been given: not one that nobody used
            self.tell(LeaseClaimed(LeaseClaim(answer.request, ClaimKind.NEVER_BEGAN)))
        else:
            self.tell(OutcomeSeen(Ended(answer.request, answer.endpoint, End.CANCELLED)))

    def _look_again(self, now: int) -> None:
        """Sees to those who wait by the time that the core names, even if nothing happens."""
        at = self._core.release_ns
        if at is not None:
            loop = asyncio.get_running_loop()
            self._look = loop.call_later(max(0.001, seconds(at - now)), self._on_look)

    def _on_look(self) -> None:
        self._look = None
        self.tell(Ticked())
