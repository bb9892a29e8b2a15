"""What was sent and has not ended, and all that changes with each beginning and each end."""

import random
from collections.abc import Iterable
from dataclasses import replace

from router.policy.admission import Admission, work_of
from router.policy.allowance import Allowance
from router.policy.cached_prefixes import CachedPrefixes
from router.policy.charge import Charged, charge_of
from router.policy.decider import Decider, Verdict
from router.policy.decision import Decision, Send
from router.policy.fleet import Fleet
from router.policy.flight import Flight
from router.policy.gap_limit import SLOW_SHARE
from router.policy.hedge import Hedging, hedge_id
from router.policy.leases import Leases
from router.policy.meter import Share
from router.policy.need import Need
from router.policy.outcome import FAILURES, End, Ended, FirstToken, Outcome
from router.policy.recovery import Again
from router.policy.registry import Registry
from router.policy.request import Request
from router.policy.rule import Rule
from router.policy.scaling.view import ScalingView
from router.policy.sessions import Sessions
from router.policy.snapshot import Totals
from router.policy.stall import patience_ns
from router.policy.suspicion import Suspicion
from router.policy.tracked import Tracked
from router.policy.vigil import signs_of


class Flights:
    """The attempts of one router that are open, by the id of their request."""

    def __init__(
        self,
        fleet: Fleet,
        registry: Registry,
        sessions: Sessions,
        decider: Decider,
        admission: Admission,
        hedging: Hedging,
        cached: CachedPrefixes,
        totals: Totals,
        charged: Charged,
    ) -> None:
        self.by_id: dict[str, Flight] = {}
        self._shares = fleet.shares
        self.suspicion = Suspicion(fleet.limits, registry, decider, self.commit)
        self.leases = Leases(fleet, registry, self._begin, self.settle)
        self.scaling = ScalingView(registry, totals)
        self._registry = registry
        self._sessions = sessions
        self._decider = decider
        self._admission = admission
        self._hedging = hedging
        self._cached = cached
        self._totals = totals
        self._charged = charged
        self._charges = 0

    def __len__(self) -> int:
        return len(self.by_id)

    def knows(self, request: str) -> bool:
        """Whether a request with this id is in flight, or waits to be."""
        return request in self.by_id or request in self._admission or request in self.suspicion

    def get(self, request: str) -> Flight | None:
        """The open attempt of a request."""
        return self.by_id.get(request)

    def adopt(self, fleet: Fleet, now: int) -> tuple[str, ...]:
        """The fleet is another one; what is in flight stays. The endpoints that have to go.

        ValueError where it would begin or cease to share with other routers.
        """
        if fleet.shares is not self._shares:
            raise ValueError("a fleet begins or ceases to share at a start only")
        self._decider.adopt(fleet)
        leaving = self._registry.adopt(fleet, self._decider.confidences, now)
        self._sessions.adopt(fleet.limits)
        self._admission.adopt(fleet, now)
        self._hedging.adopt(fleet, now)
        self._cached.marks_max = fleet.limits.told_prefix_marks_max
        self.suspicion.quarantine.limits = fleet.limits
        self.leases.adopt(fleet)
        return leaving

    def patience(self, request: str, now: int) -> tuple[int, int]:
        """How long a placed request's client should wait before it doubts the endpoint.

        For the first token, and for each further one, in nanoseconds. 0 for what is not in flight.
        """
        flight = self.by_id.get(request)
        if flight is None:
            return 0, 0
        signs = signs_of(self._registry.by_name[flight.endpoint], 0, now)
        silence_ns = int(patience_ns(signs))
        return flight.due_ns - flight.sent_ns + silence_ns, silence_ns

    def commit(
        self, verdict: Verdict, now: int, again: Again | None = None, *, hedge: bool = False
    ) -> Decision:
        """Make a verdict take effect: a `Send` counts as in flight at once."""
        decision, need, chosen = verdict.decision, verdict.need, verdict.chosen
        if need is None or chosen is None or not isinstance(decision, Send):
            self._totals.refused += 1
            return decision
        tracked = self._registry.by_name[decision.endpoint]
        direct = need.request.direct
        flight = Flight(
            need.request,
            decision.endpoint,
            need.slo,
            decision.attempt,
            need.tried,
            again.resumes if again else 0,
            tracked.endpoint.identity,
            need.request.max_new_tokens + _delivered(need.request),
            sent_ns=now,
            due_ns=now + chosen.ttft_ns,
            network_ns=tracked.round_trip.mean_ns,
            ahead=tracked.ahead_at(need.expected_tokens, chosen.uncached_tokens, now),
            uncached_tokens=chosen.uncached_tokens,
            expected_tokens=need.expected_tokens,
            price_usd=chosen.price_usd,
            site=tracked.site,
            share=Share(tracked.ttft.token_ns * chosen.uncached_tokens),
            purse=self._registry.purses.of(need.request.tenant),
            is_hedge=hedge,
            # Nobody waits for a client to use its lease, to learn whether an endpoint is back.
            probe=not direct and tracked.breaker.on_send(),
            objective_ns=decision.objective_ns,
            load_ns=chosen.load_ns,
            lane_adapter=need.lane.adapter,
            below=again.below if again else 0,
        )
        self._begin(flight, now)
        if direct:
            self.leases.place(flight, now)
        self._admission.on_send(need, chosen.uncached_tokens, now)
        if decision.attempt == 1:
            self._hedging.on_request(need.slo)
        self._count(decision, need, chosen.uncached_tokens, tracked, now)
        is_further = hedge or (again is not None and again.request.because)
        if need.request.because and not (direct or is_further):
            self._decider.models.count_stand_in(need.request)
        return decision

    def money(self) -> Iterable[Allowance]:
        """What is shared with other routers, beside what sites have."""
        return (*self._hedging.allowances, *self._registry.purses.allowances)

    def hedge(self, request: str, now: int, rng: random.Random) -> Decision | None:
        """See RouterCore.on_hedge_due."""
        flight = self.by_id.get(request)
        if flight is None or flight.first_ns or flight.partner:
            return None
        if self.knows(hedge_id(request)):  # what it was hedged with before has not ended
            return None
        verdict = self._hedging.decide(flight, now, rng)
        if verdict is None:
            return None
        decision = self.commit(verdict, now, hedge=True)
        flight.partner = decision.request
        self.by_id[decision.request].partner = request
        return decision

    def _begin(self, flight: Flight, now: int) -> None:
        """An attempt counts as in flight from now on."""
        tracked = self._registry.by_name[flight.endpoint]
        request = flight.request
        tracked.on_send(flight, request.id)
        more = tracked.work()
        tracked.site.spend.on_send(flight.price_usd, now, more=more)
        flight.purse.on_send(flight.price_usd)
        meter = flight.site.meter
        meter.begin(flight.endpoint, flight.share, now, streams=request.streams, more=more)
        tracked.site.warming.on_send()
        self.by_id[flight.request.id] = flight

    def _count(
        self, send: Send, need: Need, uncached_tokens: int, tracked: Tracked, now: int
    ) -> None:
        tracked.site.turns += 1
        self._registry.turns.sent += 1
        tracked.site.work_tokens += work_of(uncached_tokens, need.expected_tokens)
        if send.rule is Rule.OVERFLOW:
            tracked.site.overflow_turns += 1
        request = need.request
        if need.marks:
            tracked.prefix.add(need.marks, now)
            self._cached.add(need.marks, send.endpoint)
            if send.attempt == 1:
                self._decider.hot.add(need.marks)
            if self._registry.is_large:
                self._decider.owners.add(need.marks, send.endpoint)
        if request.session:
            session = self._sessions.place(request.session_key, send.endpoint, now)
            session.blocks = len(request.prefix)
            session.block = request.prefix[-1] if request.prefix else 0
            if request.asked:
                self._decider.models.rollouts.remember(session, request)

    def settle(self, outcome: Outcome, now: int) -> None:
        """Take an outcome in. No effect for what is not in flight there."""
        flight = self.by_id.get(outcome.request)
        if flight is None or flight.endpoint != outcome.endpoint:
            return
        tracked = self._registry.by_name[outcome.endpoint]
        if isinstance(outcome, FirstToken):
            self._on_first_token(outcome, flight, tracked, now)
        else:
            self._on_ended(outcome, flight, tracked, now)

    def _on_first_token(
        self, first: FirstToken, flight: Flight, tracked: Tracked, now: int
    ) -> None:
        flight.ttft_ns = first.ttft_ns
        if flight.request.asked:
            self._decider.models.rollouts.on_first_token(flight, first.ttft_ns, now)
        flight.site.meter.first_token(flight.endpoint, flight.share, now)
        self._totals.late += 0 < flight.objective_ns < first.ttft_ns
        self._on_race_won(flight, now)
        flight.forget_prefix()
        flight.identity = tracked.endpoint.identity
        tracked.on_first_token(flight, first.request, now)
        self._remember_cache(flight, flight.request.prompt_tokens)

    def _on_race_won(self, flight: Flight, now: int) -> None:
        """Of a hedged request's two attempts this one goes on, and the session with it."""
        partner = self.by_id.get(flight.partner)
        if partner is None or flight.request.session or not partner.request.session:
            return
        flight.request = replace(flight.request, session=partner.request.session)
        self._sessions.place(flight.request.session_key, flight.endpoint, now)

    def _on_ended(self, ended: Ended, flight: Flight, tracked: Tracked, now: int) -> None:
        del self.by_id[ended.request]
        self.suspicion.on_ended(ended, flight, tracked, now)
        if flight.request.asked:
            self._decider.models.rollouts.on_end(ended, flight, now)
        tracked.on_end(flight, ended, now)
        site = tracked.site
        fewer = -tracked.work()
        site.spend.on_end(flight.price_usd, ended.egress_bytes, now, fewer=fewer)
        flight.site.meter.end(flight.endpoint, flight.share, now, fewer=fewer)
        self._charge(flight, ended, tracked, now)
        site.warming.on_end(well=_ended_well(ended, flight))
        site.output_tokens += ended.output_tokens
        if ended.slow_gaps and ended.slow_gaps > SLOW_SHARE * (ended.output_tokens - 1):
            self._totals.late += 1
        self._sessions.generated(flight.request.session_key, ended.output_tokens)
        self._admission.on_end(flight, tracked.endpoint.model, ended.output_tokens, now)
        self._registry.forget_if_done(tracked)
        if ended.end is End.OK:
            if ended.output_tokens:
                self._decider.output[flight.slo_class.name].add(ended.output_tokens)
            self._remember_cache(flight, flight.request.prompt_tokens + ended.output_tokens)
        elif ended.end in FAILURES:
            site.failures += 1

    def _charge(self, flight: Flight, ended: Ended, tracked: Tracked, now: int) -> None:
        self._charges += 1
        tenant = self._admission.tenant_of(flight.request)
        model = tracked.endpoint.model
        charge = charge_of(self._charges, flight, tenant, model, ended, now)
        flight.purse.on_end(flight.price_usd)
        self._registry.purses.of(flight.request.tenant).use(charge.spent_usd, now)
        self._charged(charge)

    def _remember_cache(self, flight: Flight, tokens: int) -> None:
        session = self._sessions.get(flight.request.session_key)
        if session is not None and session.endpoint == flight.endpoint:
            session.cached_tokens = tokens


def _ended_well(ended: Ended, flight: Flight) -> bool | None:
    """Whether a new site has shown what it can do; None where the end says nothing of it.

    An answer that was late speaks neither for it nor against it: it may have been the queue.
    """
    if ended.end in FAILURES or (ended.end is End.TIMED_OUT and not flight.first_ns):
        return False
    if ended.end is not End.OK:
        return None
    objective_ns = flight.slo_class.ttft_objective_ns(flight.request.prompt_tokens)
    return True if flight.ttft_ns <= objective_ns else None


def _delivered(request: Request) -> int:
    return 0 if request.resume is None else request.resume.tokens
