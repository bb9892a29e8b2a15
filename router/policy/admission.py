"""Admission: who waits in the router, who goes next, and who is told at once to come back later.

An engine serves first come, first served. What waits there can be neither reordered nor taken back,
so under overload the queue has to be here. A request is sent while some endpoint has room, that is
while what waits there is a fraction of the tightest objective, enough that no engine ever idles for
want of the next request and little enough that order is made here, and while one more stream leaves
the gaps between tokens within the objective. With no room anywhere a request
waits in its lane (`router.policy.lane`), by priority level and the tenants' weights.

Waiting is bounded by what it is for. A request is *in time* as long as it may still meet its
objective when it is sent; one that cannot be in time is *late* and goes when nobody who is in time
waits. While the queue was empty within the last `patience_ns` the overload may be a burst, and the
late are kept for that long: nobody hears an error for a surge of two seconds. Once the queue has
stood longer the overload is standing, and whoever would be late is refused on arrival with the time
to come back. So goodput stays at its peak, whatever the demand, and the queue stays as short as the
objective. (That a queue is judged by how long it has stood, and not by its length, is the idea of
CoDel: Nichols and Jacobson 2012.)

Rejected: a limit on concurrency that is learned from latency. It finds the right number for
requests of one kind; here they differ a hundredfold, and the predictor knows by how much.
"""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from router.policy.candidate import Candidate
from router.policy.decider import Verdict
from router.policy.decision import Refuse, Wait
from router.policy.entitlement import why_not
from router.policy.fleet import Fleet
from router.policy.flight import Flight
from router.policy.lane import Lane, level_weights
from router.policy.lazy_heap import LazyHeap
from router.policy.need import LaneKey, Need
from router.policy.refusal import not_entitled, quota_exceeded, too_late
from router.policy.request import Request
from router.policy.rule import Rule
from router.policy.snapshot import TenantSnapshot
from router.policy.tenants import Tenants, TenantState
from router.policy.tracked import BEING_PROBED, FULL, RESTING
from router.policy.units import NS_PER_MS
from router.policy.waiting import Waiting

CHECK_NS = 50 * NS_PER_MS
"""How often those who wait are looked at if nothing happens: predictions change by themselves."""

RELEASED_MAX = 64
"""Requests sent by one release, so that none takes long; the others follow with the next."""

_OUTPUT_WORK = 2.0  # a token that is generated holds an engine about as long as two of a prompt
_WAIT_SHARE_MIN = 0.25  # of its objective that a request may wait, however long its own prefill is
_EVER = 1 << 62
_PATIENCE = 30.0  # times its own prefill that a request lets later ones go first, in a burst
_CLASS_BITS = 64  # nanoseconds: no time outweighs the priority that a tenant gave
_SOON = frozenset({"", FULL, BEING_PROBED})  # what excludes those who may serve a waiting request


class Admission:
    """The queue of one router."""

    def __init__(self, fleet: Fleet) -> None:
        self._limits = fleet.limits
        self._default_slo = fleet.default_slo
        self._room_ns = fleet.endpoint_queue_ns
        self._tenants = Tenants(fleet)
        self._levels = level_weights({slo.priority for slo in fleet.slo_classes})
        self._lanes: dict[LaneKey, Lane] = {}
        self._waiting: dict[str, Waiting] = {}
        self._times: LazyHeap[Waiting] = LazyHeap()  # by when something must become of each
        self._displaced: list[tuple[Waiting, Refuse]] = []
        self._looked_ns = 0
        self._looks = 0

    def adopt(self, fleet: Fleet, now: int) -> None:
        """The fleet is another one; who waits goes on to, and as much is used as was."""
        self._limits = fleet.limits
        self._default_slo = fleet.default_slo
        self._room_ns = fleet.endpoint_queue_ns
        self._levels.clear()  # the very mapping that lanes read
        self._levels.update(level_weights({slo.priority for slo in fleet.slo_classes}))
        for lane in self._lanes.values():
            lane.patience_ns = fleet.limits.patience_ns
        for one in self._tenants.by_name.values():
            one.waiting = 0
        self._tenants.adopt(fleet, now)
        for entry in self._waiting.values():
            self._tenants.of(entry.tenant).waiting += 1

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, request: str) -> bool:
        return request in self._waiting

    @property
    def tenants(self) -> Iterable[TenantState]:
        """Everybody whose requests are told apart."""
        return self._tenants.by_name.values()

    def tenant_of(self, request: Request) -> str:
        """Whose a request is, by the name in the fleet file."""
        return self._tenants.of(request.tenant).name

    def not_entitled(self, request: Request) -> Refuse | None:
        """A refusal if the request is for what its tenant may not ask for."""
        tenant = self._tenants.of(request.tenant)
        reason = why_not(tenant.tenant, request, self._default_slo)
        return not_entitled(request, reason) if reason else None

    def over_quota(self, verdict: Verdict, routers: int, now: int) -> Refuse | None:
        """A refusal if the tenant has used what a quota allows; else it has used more of each.

        So many routers share what it may have.
        """
        need = _need(verdict)
        tenant = self._tenants.of(need.request.tenant)
        used_up = tenant.used_up(need.request.open_streams, routers, now)
        if used_up is not None:
            tenant.refused += 1
            return quota_exceeded(need.request, tenant.tenant, *used_up, self._limits)
        tenant.use(need.request.prompt_tokens, need.expected_tokens, now)
        return None

    def must_wait(self, verdict: Verdict) -> bool:
        """Whether a request just decided has no room anywhere, or others before it."""
        need, decision = verdict.need, verdict.decision
        if need is None or decision.rule is Rule.NO_ENDPOINT or need.request.resume is not None:
            return False  # a stream that goes on has waited already
        return not verdict.room or (verdict.chosen is not None and self._someone_waits(need.lane))

    def arrive(self, verdict: Verdict, now: int, rng: random.Random) -> Wait | Refuse:
        """A request that must wait does so, or is told when to come back."""
        need = _need(verdict)
        lane = self._lane(need.lane, now)
        entry, wait_ns = self._weigh(need, verdict.decision.candidates, lane, now)
        lane.rate.add_asked(entry.work, now)
        if now + wait_ns > entry.until_ns or not self._make_place(entry, lane, now, rng):
            self._tenants.of(entry.tenant).refused += 1
            return self._refuse(entry, lane, wait_ns, now, rng, verdict)
        self._push(entry, lane, now)
        return _wait(need, verdict.decision.candidates, entry, wait_ns, len(lane) - 1)

    def explain(self, verdict: Verdict, now: int, rng: random.Random) -> Wait | Refuse:
        """What `arrive` would answer, without any effect."""
        need = _need(verdict)
        lane = self._lanes.get(need.lane) or self._new_lane(now)
        entry, wait_ns = self._weigh(need, verdict.decision.candidates, lane, now)
        if now + wait_ns > entry.until_ns:
            return self._refuse(entry, lane, wait_ns, now, rng, verdict)
        return _wait(need, verdict.decision.candidates, entry, wait_ns, len(lane))

    def withdraw(self, request: str, now: int) -> None:
        """Nobody waits for the answer any more. No effect if the request does not wait."""
        entry = self._waiting.get(request)
        if entry is not None:
            self._leave(entry, now)

    def expired(self, now: int, rng: random.Random) -> Iterator[tuple[Waiting, Refuse]]:
        """Refusals of those who can no longer be served in time; others only become late.

        Who is told so is to be counted by `count_refused`.
        """
        yield from self._displaced
        self._displaced.clear()
        while (first := self._times.first()) is not None and first[0] <= now:
            entry = first[1]
            self._leave(entry, now)
            lane = self._lanes[entry.lane]
            late = self._late(entry, lane)
            if late.until_ns > now:
                self._push(late, lane, now)
            else:
                yield entry, self._refuse(entry, lane, now - entry.arrived_ns, now, rng)

    def count_refused(self, entry: Waiting) -> None:
        """One who waited in vain is told so."""
        self._tenants.of(entry.tenant).refused += 1

    def lanes(self, now: int) -> list[Lane]:
        """The lanes in which somebody waits, each time another one first."""
        self._looked_ns = now
        self._looks += 1
        lanes = [lane for lane in self._lanes.values() if len(lane)]
        first = self._looks % len(lanes) if lanes else 0
        return lanes[first:] + lanes[:first]

    def send(self, entry: Waiting, now: int) -> None:
        """One who waits is sent."""
        self._leave(entry, now)
        self._lanes[entry.lane].rate.add_sent(entry.work, now)

    def is_look_due(self, now: int) -> bool:
        """Whether those who wait are to be looked at although nothing has happened."""
        return bool(self._waiting) and now - self._looked_ns >= CHECK_NS

    @property
    def next_ns(self) -> int | None:
        """By when to look again at the latest; None: no need."""
        if self._displaced:
            return self._looked_ns
        first = self._times.first()
        return None if first is None else min(first[0], self._looked_ns + CHECK_NS)

    def on_send(self, need: Need, uncached_tokens: int, now: int) -> None:
        """A request is sent, whether it waited or not: that counts against its tenant's share."""
        tenant = self._tenants.of(need.request.tenant)
        work = work_of(uncached_tokens, need.expected_tokens)
        tenant.admitted += 1
        tenant.work_tokens += work
        self._lane(need.lane, now).served(need.slo.priority, tenant.name, work)

    def on_end(self, flight: Flight, model: str, output_tokens: int, now: int) -> None:
        """An attempt at an endpoint of this model is over: what it really was is settled."""
        slo, tenant = flight.slo_class, self._tenants.of(flight.request.tenant)
        more = output_tokens - flight.expected_tokens
        tenant.work_tokens += work_of(0, more)
        lane = self._lanes.get(LaneKey(model, slo.home_only, flight.lane_adapter))
        if lane is not None:
            lane.correct(slo.priority, tenant.name, work_of(0, more))
        tenant.settle(more, now)

    def snapshot(self) -> tuple[TenantSnapshot, ...]:
        """The tenants as frozen values."""
        return tuple(
            TenantSnapshot(
                one.name,
                one.tenant.weight,
                one.waiting,
                one.admitted,
                one.refused,
                max(0.0, one.work_tokens),
            )
            for one in self._tenants.by_name.values()
        )

    def _someone_waits(self, key: LaneKey) -> bool:
        lane = self._lanes.get(key)
        return lane is not None and len(lane) > 0

    def _weigh(
        self, need: Need, candidates: Sequence[Candidate], lane: Lane, now: int
    ) -> tuple[Waiting, int]:
        """A request as it would wait, and for how long."""
        soon = [c for c in candidates if c.excluded in _SOON]
        soon = soon or [c for c in candidates if c.excluded == RESTING]
        entry = self._entry(need, soon, lane, now)
        wait_ns = lane.wait_ns(entry.level, entry.tenant, entry.work, now)
        if wait_ns is None:  # what is predicted of endpoints is rough: only a long wait counts
            wait_ns = min(c.queue_ns for c in soon)
            wait_ns = wait_ns if wait_ns > self._limits.patience_ns else 0
        if now + wait_ns > entry.until_ns:
            entry = self._late(entry, lane)
        return entry, wait_ns

    def _entry(self, need: Need, soon: Sequence[Candidate], lane: Lane, now: int) -> Waiting:
        """A request that waits for one of what can serve it soon."""
        served_ns = self._room_ns + min(map(_served_ns, soon))
        objective_ns, deadline_ns = need.objective_ns, need.request.deadline_ns
        last_ns = _EVER if deadline_ns is None else deadline_ns - served_ns
        # What a long prompt is allowed beyond the others is for its prefill. Were it used to wait,
        # a standing queue would be one of long prompts only.
        wait_ns = min(objective_ns - served_ns, need.slo.ttft_ns - self._room_ns)
        wait_ns = max(int(_WAIT_SHARE_MIN * need.slo.ttft_ns), wait_ns)
        return Waiting(
            request=need.request,
            lane=need.lane,
            level=need.slo.priority,
            tenant=self._tenants.of(need.request.tenant).name,
            work=work_of(min(c.uncached_tokens for c in soon), need.expected_tokens),
            arrived_ns=now,
            due=_due(need, soon, now, _PATIENCE if lane.may_be_burst(now) else 0.0),
            until_ns=min(now + wait_ns, last_ns),
            last_ns=last_ns,
        )

    def _late(self, entry: Waiting, lane: Lane) -> Waiting:
        """The same request once it cannot be in time; it waits on while this may be a burst."""
        until_ns = min(lane.burst_until_ns, entry.last_ns)
        return replace(entry, until_ns=until_ns, late=True, over=False)

    def _make_place(self, entry: Waiting, lane: Lane, now: int, rng: random.Random) -> bool:
        """Whether the queue has a place, if need be that of another with more than its share."""
        if len(self._waiting) < self._limits.queue_max:
            return True
        other = lane.longest()
        if other is None or other.tenant == entry.tenant or other.level < entry.level:
            return False
        self._leave(other, now)
        refusal = self._refuse(other, lane, now - other.arrived_ns, now, rng)
        self._displaced.append((other, refusal))
        return True

    def _refuse(
        self,
        entry: Waiting,
        lane: Lane,
        wait_ns: int,
        now: int,
        rng: random.Random,
        verdict: Verdict | None = None,
    ) -> Refuse:
        """The refused come back once what is asked for has been served, and not all together."""
        back_ns = int(wait_ns * lane.rate.overload() * (1.0 + rng.random() / 2))
        candidates = verdict.decision.candidates if verdict is not None else ()
        return too_late(entry, candidates, back_ns, now, self._limits)

    def _push(self, entry: Waiting, lane: Lane, now: int) -> None:
        lane.push(entry, now)
        self._tenants.of(entry.tenant).waiting += 1
        self._waiting[entry.request.id] = entry
        self._times.push(entry.until_ns, entry)

    def _leave(self, entry: Waiting, now: int) -> None:
        del self._waiting[entry.request.id]
        self._lanes[entry.lane].leave(entry, now)
        self._tenants.of(entry.tenant).waiting -= 1
        self._times.left()

    def _lane(self, key: LaneKey, now: int) -> Lane:
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = self._new_lane(now)
        return lane

    def _new_lane(self, now: int) -> Lane:
        return Lane(self._tenants.weights, self._levels, self._limits.patience_ns, now)


def _need(verdict: Verdict) -> Need:
    if verdict.need is None:
        raise ValueError(f"{verdict.decision.request!r} was refused before it was judged")
    return verdict.need


def _wait(
    need: Need, candidates: Sequence[Candidate], entry: Waiting, wait_ns: int, others: int
) -> Wait:
    reason = f"no endpoint has room, and {others} others wait" if others else "no endpoint has room"
    return Wait(
        request=need.request.id,
        rule=Rule.QUEUED,
        reason=reason,
        slo=need.slo.name,
        tenant=entry.tenant,
        candidates=tuple(candidates),
        expected_ns=wait_ns,
    )


def work_of(prompt_tokens: float, output_tokens: float) -> float:
    """What requests cost an engine, in tokens of a prompt."""
    return prompt_tokens + _OUTPUT_WORK * output_tokens


def _due(need: Need, soon: Sequence[Candidate], now: int, patience: float) -> int:
    """Arrival and patience: short prompts first, but none is overtaken for ever."""
    patience_ns = int(patience * min(candidate.prefill_ns for candidate in soon))
    return (need.request.priority << _CLASS_BITS) + now + patience_ns


def _served_ns(candidate: Candidate) -> int:
    """From sending a request to its first token, in the middle, where nothing waits before it."""
    promised_ns = candidate.queue_ns + candidate.prefill_ns
    before_ns = candidate.network_ns + candidate.adapter_ns
    middle = (candidate.expected_ns - before_ns) / max(1, promised_ns)
    return before_ns + int(middle * candidate.prefill_ns)
