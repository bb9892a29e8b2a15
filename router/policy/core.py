"""The router's core: events and requests in, decisions out. It owns all routing state.

`RouterCore` performs no input or output and reads no clock: whoever drives it, in real time or in
virtual time, passes `now` (integer nanoseconds of any monotonic clock) and the source of
randomness. The same calls give the same decisions.
"""

import random
from collections.abc import Sequence

from router.policy.admission import RELEASED_MAX, Admission
from router.policy.allowance import Granted
from router.policy.allowances import Allowances
from router.policy.cached_prefixes import CachedPrefixes
from router.policy.charge import Charged, unheard
from router.policy.decider import Decider, Verdict
from router.policy.decision import Decision, Refuse, Send
from router.policy.endpoint import Endpoint
from router.policy.fleet import Fleet, SloClass
from router.policy.flight import Flight
from router.policy.flights import Flights
from router.policy.hedge import Hedging
from router.policy.lease import LeaseClaim
from router.policy.load import LoadReport
from router.policy.month_cap import Spent
from router.policy.outcome import End, Ended, FirstToken, Outcome
from router.policy.quarantine import Standing
from router.policy.recovery import Again, Recovery, moved
from router.policy.refusal import quarantined, refuse
from router.policy.registry import Registry
from router.policy.request import Request
from router.policy.resume import ResumePoint
from router.policy.rule import Rule
from router.policy.session_list import Placements
from router.policy.sessions import Sessions
from router.policy.snapshot import FleetSnapshot, Totals, snapshot_fleet
from router.policy.stand_in import after_waiting, rather
from router.policy.vigil import Beat, given_up, learn, should_ask


class RouterCore:
    """Decides where each request goes, and learns from what becomes of it."""

    def __init__(self, fleet: Fleet, charged: Charged = unheard) -> None:
        self.fleet = fleet
        self._registry = Registry(fleet)
        self._sessions = Sessions(fleet.limits)
        self.placements = Placements(self._sessions, self._registry)
        self._decider = Decider(fleet, self._registry, self._sessions)
        self._admission = Admission(fleet)
        self._hedging = Hedging(fleet, self._registry, self._decider)
        self._totals = Totals()
        self.cached = CachedPrefixes(fleet.limits.told_prefix_marks_max)
        self._flights = Flights(
            *(fleet, self._registry, self._sessions, self._decider, self._admission),
            *(self._hedging, self.cached, self._totals, charged),
        )
        self.allowances = Allowances(
            self._registry.sites.values(), self._flights.money(), self._admission.tenants
        )
        self._suspicion, self.leases = self._flights.suspicion, self._flights.leases
        self.scaling, self.rollouts = self._flights.scaling, self._decider.models.rollouts
        self._stirred = False  # something happened that may have made room
        self._recovery = Recovery(fleet.limits)

    def on_endpoint_up(self, endpoint: Endpoint, now: int) -> None:
        """An endpoint is listed. It counts as reachable until its connection says otherwise.

        Told again of an endpoint it knows, the core keeps what it learned. KeyError for a site
        that the fleet does not have.
        """
        _ = now
        self._registry.up(endpoint)
        self._stirred = True

    def on_endpoint_gone(self, name: str, now: int) -> None:
        """An endpoint is no longer listed: no new requests; its streams may still end."""
        tracked = self._registry.by_name.get(name)
        if tracked is not None:
            self.leases.on_gone(name, now)
            self._suspicion.quarantine.on_gone(name, drained=tracked.is_draining)
            self._registry.down(name)
            self.cached.forget(name)
            self._stirred = True

    def on_connection(
        self, endpoint: str, connected: bool, now: int, *, silent: bool = False
    ) -> None:
        """The connection to an endpoint was lost or made.

        Without one it gets no requests; back after a loss, it is probed by one before the rest.
        `silent` tells that it was lost by silence, and not by anybody's doing.
        """
        tracked = self._registry.by_name.get(endpoint)
        if tracked is not None:
            tracked.on_connection(connected, now, silent=silent)
            self.leases.on_connection(endpoint, connected=connected, now=now)
            self._stirred = True

    def on_rtt(self, endpoint: str, rtt_ns: int, now: int) -> None:
        """A round trip to an endpoint was measured."""
        _ = now
        if (tracked := self._registry.by_name.get(endpoint)) is not None:
            tracked.round_trip.add(rtt_ns)

    def on_load(self, report: LoadReport, now: int) -> None:
        """A load report was heard."""
        tracked = self._registry.by_name.get(report.endpoint)
        if tracked is not None:
            self.cached.hear(report, tracked.occupancy.report)
            self.leases.on_report(report, now)
            tracked.hear(report, now)
            self._suspicion.quarantine.on_report(report.endpoint, report.instance, now)
            self._stirred = True

    def on_drain(self, site: str, draining: bool, now: int) -> None:
        """A site stops or resumes taking new turns. KeyError for an unknown site."""
        _ = now
        self._registry.sites[site].drain(draining)
        self._stirred = True

    def on_site_lease(self, site: str, ending: bool, now: int) -> None:
        """The lease of a site ends soon, or was extended. KeyError for an unknown site."""
        _ = now
        self._registry.sites[site].end_lease(ending)
        self._stirred = True

    def on_fleet(self, fleet: Fleet, now: int) -> None:
        """The fleet is this one from now on; what is the same keeps what was learned of it.

        Streams at a site that it has no longer may end, and are to go on elsewhere as where one
        drains. What was spent stays spent. ValueError where it would begin or cease to share.
        """
        for name in self._flights.adopt(fleet, now):
            self.on_endpoint_gone(name, now)
        shared = self._flights.money(), self._admission.tenants
        self.allowances.adopt(self._registry.sites.values(), *shared, now)
        self._recovery.adopt(fleet.limits)
        self.fleet = fleet
        self._stirred = True

    def on_lend(self, site: str, endpoints: Sequence[str], now: int) -> None:
        """These endpoints of a site, and no others, are lent: they take no new turns.

        KeyError for an unknown site; an endpoint need not be listed, or not yet.
        """
        _ = now
        self._registry.lend(site, frozenset(endpoints))
        self._stirred = True

    def on_store(self, routers: int, granted: Sequence[Granted], now: int) -> None:
        """The store of what routers share answered, and counts so many of them; 0: it is away."""
        self.allowances.grant(granted, now)
        self.allowances.on_store(routers, now)
        self._stirred = True

    def on_spent(self, spent: Spent, now: int) -> None:
        """Others have spent this: see router.policy.month_cap."""
        _ = now
        self._registry.hear_spent(spent)
        self._stirred = True

    def on_request(self, request: Request, now: int, rng: random.Random) -> Decision:
        """Decide where a request goes; a `Send` counts as in flight at once.

        ValueError if a request with this id is in flight.
        """
        name = request.id
        if self._flights.knows(name):
            raise ValueError(f"a request with the id {name!r} is in flight")
        self._totals.decided += 1
        denied = self._admission.not_entitled(request) or self._decider.not_offered(request)
        if denied is not None:
            self._totals.refused += 1
            return denied
        self._recovery.on_request()
        if self._suspicion.standing(request, now) is not Standing.FREE:
            return self._count_refusal(self._suspicion.send(Again(request, (), 1, 0), now, rng))
        verdict = self._decider.decide(request, request.avoid, now, rng)
        if request.avoid and verdict.chosen is None:
            verdict = self._decider.decide(request, (), now, rng)
        elif request.avoid and verdict.need is not None:
            verdict.need.tried = ()  # none of this router's attempts has failed there
        self.allowances.ask(verdict, self._registry.sites, now)
        if verdict.candidates:
            margin = self.fleet.limits.spill_back_margin
            self._decider.strain.observe(verdict.need, verdict.candidates, margin, now)
        if not self._decider.models.is_plain:
            verdict = rather(verdict, self._admission, self._decider, now, rng)
        return self.scaling.counted(request, verdict.need, self._admit(verdict, now, rng))

    def on_asked_again(self, again: Again, now: int, rng: random.Random) -> Decision:
        """Decide where a stream goes on that had begun, and that no endpoint could take before.

        It is no new request: it earns no budget, is charged to no quota and keeps its counts.
        """
        if denied := self._recovery.may_ask(again):
            return refuse(again.request, Rule.NO_RETRY, denied)
        return self._send_again(again, now, rng)

    def on_withdrawn(self, request: str, now: int) -> None:
        """The client of a request that waits has gone. No effect if it does not wait."""
        self._admission.withdraw(request, now)
        self._suspicion.withdraw(request)

    def on_claim(self, claim: LeaseClaim, now: int) -> None:
        """The client of a request that was placed says what became of it."""
        self.leases.on_claim(claim, now)
        self._stirred = True

    def patience(self, request: str, now: int) -> tuple[int, int]:
        """See Flights.patience."""
        return self._flights.patience(request, now)

    def on_quarantine_released(self, fingerprint: str, now: int) -> None:
        """An operator lets a prompt in again. No effect on one that is not in quarantine."""
        _ = now
        self._suspicion.quarantine.release(fingerprint)

    def release(self, now: int, rng: random.Random) -> tuple[Decision, ...]:
        """What becomes of requests that were told to wait: each is sent, or refused, once.

        Call it after every other call, and at `release_ns` if nothing happens until then.
        """
        admission = self._admission
        stirred, self._stirred = self._stirred, False
        answers = list(after_waiting(admission, self._decider, self._flights.commit, now, rng))
        self._totals.refused += sum(isinstance(answer, Refuse) for answer in answers)
        suspected = self._suspicion.release(now, rng, stirred=stirred)
        answers.extend(self._count_refusal(answer) for answer in suspected)
        if not len(admission) or not (stirred or admission.is_look_due(now)):
            return tuple(answers)
        for lane in admission.lanes(now):
            while (entry := lane.next()) is not None:
                if len(answers) >= RELEASED_MAX:
                    self._stirred = True
                    return tuple(answers)
                waited_ns = now - entry.arrived_ns
                verdict = self._decider.decide(entry.request, (), now, rng, waited_ns=waited_ns)
                if not verdict.room:
                    break
                admission.send(entry, now)
                answers.append(self._flights.commit(verdict, now))
        return tuple(answers)

    @property
    def release_ns(self) -> int | None:
        """By when `release` must be called at the latest; None while nothing waits."""
        times = (self._admission.next_ns, self._suspicion.next_ns)
        return min((at for at in times if at is not None), default=None)

    def on_outcome(self, outcome: Outcome, now: int, rng: random.Random) -> Decision | None:
        """Learn from an outcome; a failed attempt gets its next action.

        None for a first token, for a final end, and for an attempt that is not in flight.
        """
        flight = self._flights.get(outcome.request)
        if flight is None or flight.endpoint != outcome.endpoint:
            return None
        self._stirred = True
        self._flights.settle(outcome, now)
        if isinstance(outcome, FirstToken):
            return None
        partner = self._flights.get(flight.partner)
        if partner is not None:
            partner.partner = ""
            if not outcome.messages:  # the other attempt goes on
                if self._recovery.may_follow(outcome, flight):
                    partner.tried += (outcome.endpoint,)
                return None
        if not self._recovery.may_follow(outcome, flight):
            return None
        return self._try_elsewhere(outcome, flight, now, rng)

    def on_hedge_due(self, request: str, now: int, rng: random.Random) -> Decision | None:
        """`Send.hedge_ns` has passed without a first token: where it is sent as well, if anywhere.

        The second attempt has an id of its own. Whoever performs it ends the other attempt once one
        of them has given its first token; a failure is followed by nothing while the other is open.
        """
        return self._flights.hedge(request, now, rng)

    def explain(self, request: Request, now: int, rng: random.Random) -> Decision:
        """The decision that this request would get, without any effect."""
        denied = self._admission.not_entitled(request) or self._decider.not_offered(request)
        if denied is not None:
            return denied
        if self._suspicion.standing(request, now) is Standing.QUARANTINED:
            return quarantined(request)
        verdict = self._decider.decide(request, (), now, rng)
        verdict = rather(verdict, self._admission, self._decider, now, rng)
        if self._admission.must_wait(verdict):
            return self._admission.explain(verdict, now, rng)
        return verdict.decision

    def should_ask(self, beat: Beat, now: int) -> bool:
        """Whether an endpoint has been silent for so long that it is asked whether it lives."""
        tracked = self._registry.by_name.get(beat.endpoint)
        return tracked is not None and should_ask(tracked, beat, now)

    def given_up(self, beat: Beat, now: int) -> tuple[str, ...]:
        """The requests among an endpoint's silent ones that will give nothing more.

        They are for the caller to end, as STALLED. No decision depends on this call, only on that.
        """
        tracked = self._registry.by_name.get(beat.endpoint)
        if tracked is None:
            return ()
        learn(tracked, beat, now)
        return given_up(tracked, self._flights.by_id, beat, now)

    def is_draining(self, endpoint: str) -> bool:
        """Whether an endpoint, or its site, takes no new turns and asks for its streams to end."""
        tracked = self._registry.by_name.get(endpoint)
        return tracked is not None and tracked.is_draining

    def may_move(
        self, request: str, point: ResumePoint | None, now: int, rng: random.Random
    ) -> bool:
        """Whether a stream could go on from this point at another endpoint.

        None is a stream that has given nothing.
        """
        flight = self._flights.get(request)
        if flight is None or not self._recovery.may_move(flight, begun=point is not None):
            return False
        rest, tried = moved(flight, point)
        verdict = self._decider.decide(rest, tried, now, rng, flight.attempt + 1)
        return isinstance(verdict.decision, Send)

    def on_tick(self, now: int) -> None:
        """Expire what has aged. Call it about once a second."""
        self._sessions.expire(now)
        self.leases.on_tick(now)
        self._suspicion.on_tick(now)
        self._registry.forget_left()
        self._stirred = True

    def class_of(self, name: str) -> SloClass | None:
        """The class of this name, also where only requests that came before still have it."""
        return self._decider.class_of(name)

    def snapshot(self, now: int) -> FleetSnapshot:
        """The state of the fleet as frozen values."""
        return snapshot_fleet(
            self._registry,
            self._sessions,
            self._totals,
            self.fleet.limits,
            now,
            open_streams=len(self._flights),
            tenants=self._admission.snapshot(),
            quarantine=self._suspicion.quarantine,
            shared=self.allowances.snapshot(now),
            leases=self.leases.totals,
            models=self._decider.models,
        )

    def _count_refusal(self, decision: Decision) -> Decision:
        self._totals.refused += isinstance(decision, Refuse) and decision.rule is Rule.QUARANTINED
        return decision

    def _admit(self, verdict: Verdict, now: int, rng: random.Random) -> Decision:
        """What a request that just came is told: under overload not all may go at once."""
        waits = self._admission.must_wait(verdict)
        if not waits and verdict.chosen is None:
            return self._flights.commit(verdict, now)
        answer: Decision | None = self._admission.over_quota(verdict, self.allowances.routers, now)
        if answer is None and waits:
            answer = self._admission.arrive(verdict, now, rng)
        if answer is None:
            return self._flights.commit(verdict, now)
        self._totals.refused += isinstance(answer, Refuse)
        return answer

    def _try_elsewhere(
        self, ended: Ended, flight: Flight, now: int, rng: random.Random
    ) -> Decision:
        tracked = self._registry.by_name.get(ended.endpoint)
        lost = tracked is None or not tracked.connected or ended.end is End.UNREACHABLE
        suspected = self._suspicion.standing(flight.request, now) is not Standing.FREE
        again = self._recovery.after(ended, flight, lost=lost, suspected=suspected)
        if isinstance(again, str):
            self._totals.refused += 1
            return refuse(flight.request, Rule.NO_RETRY, again)
        if again.resumes > flight.resumes:
            self._totals.resumed += 1
        else:
            self._totals.retried += 1
        return self._send_again(again, now, rng)

    def _send_again(self, again: Again, now: int, rng: random.Random) -> Decision:
        if self._suspicion.standing(again.request, now) is not Standing.FREE:
            return self._count_refusal(self._suspicion.send(again, now, rng))
        verdict = self._decider.decide(
            again.request, again.tried, now, rng, again.attempt, shun=again.shun
        )
        return self._flights.commit(verdict, now, again)
