"""From a request to a decision, without any effect: what `on_request` and `explain` share."""

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from router.policy.adapters import ADAPTER_UNHEARD, NO_ADAPTER
from router.policy.asked_model import AskedModels
from router.policy.candidate import Candidate
from router.policy.decision import Decision, Refuse, Send
from router.policy.explanation import span
from router.policy.fleet import Fleet, SloClass
from router.policy.hot_prefix import HotPrefix
from router.policy.judge import WARMING, judge
from router.policy.need import LaneKey, Need
from router.policy.output_length import OutputLength
from router.policy.placement import choose
from router.policy.pool import Pool
from router.policy.prefix import marks_of
from router.policy.prefix_owners import PrefixOwners
from router.policy.recovery import attempts_left
from router.policy.refusal import no_endpoint, overload, refuse, unknown_adapter
from router.policy.registry import Registry
from router.policy.request import Request
from router.policy.residence import Residence
from router.policy.resume import Mode, ResumePoint, mode_at, rank
from router.policy.rule import Rule
from router.policy.sessions import Sessions
from router.policy.strain import Strain
from router.policy.tracked import BEING_PROBED, FULL, RESTING, Tracked

_HEDGE_SHARE = 0.25  # of the objective that passes before anything is hedged
_WAITED_ABOVE = 0.5  # of the objective, at most: whoever says more is late, and buys nothing by it
_EGRESS_BYTES_PER_TOKEN = 48  # a streamed message with one token, framing included


FORMER_CLASSES_MAX = 32
"""Classes that the fleet file has no longer, and requests may have that came before."""


class Verdict(NamedTuple):
    """A decision and what was worked out on the way to it."""

    decision: Decision
    need: Need | None = None
    candidates: tuple[Candidate, ...] = ()
    chosen: Candidate | None = None  # with a Send
    room: bool = True  # False: it would wait at an endpoint, where it should wait in the router


class Decider:
    """Reads the router's state and decides. It changes nothing."""

    def __init__(self, fleet: Fleet, registry: Registry, sessions: Sessions) -> None:
        self._registry = registry
        self._sessions = sessions
        self._classes: dict[str, SloClass] = {}
        self._former: dict[str, SloClass] = {}  # of requests that came while the fleet had them
        self.output: dict[str, OutputLength] = {}
        self._take(fleet)
        self.models = AskedModels(fleet, registry, sessions)
        self.hot = HotPrefix(fleet.limits.hot_prefix_share)
        self.owners = PrefixOwners(fleet.limits.prefix_blocks_max)
        self.strain = Strain(fleet.limits.home_reserve)

    def adopt(self, fleet: Fleet) -> None:
        """The fleet is another one. Requests of a class that is gone keep it to their end."""
        for name in [slo.name for slo in fleet.slo_classes]:
            self._former.pop(name, None)
        gone = {n: slo for n, slo in self._classes.items() if n and n not in fleet.slo_names}
        self._former |= gone
        while len(self._former) > FORMER_CLASSES_MAX:
            del self._former[next(iter(self._former))]
        self._take(fleet)
        self.models.adopt(fleet)
        self.hot.share = fleet.limits.hot_prefix_share
        self.owners.resize(fleet.limits.prefix_blocks_max)
        self.strain.adopt(fleet.limits.home_reserve, {*self._classes, *self._former})

    def _take(self, fleet: Fleet) -> None:
        self._limits = fleet.limits
        self._classes = {slo.name: slo for slo in fleet.slo_classes}
        self._classes[""] = fleet.slo(fleet.default_slo)
        self._residence = Residence(fleet, self._former.values())
        self._room_ns = fleet.endpoint_queue_ns
        output = self.output
        known = (*self._former, *fleet.slo_names)
        self.output = {name: output.get(name) or OutputLength() for name in known}

    @property
    def confidences(self) -> set[float]:
        """Of all classes that a request may have."""
        return {slo.confidence for slo in (*self._classes.values(), *self._former.values())}

    def class_of(self, name: str) -> SloClass | None:
        """The class of this name, also where only requests that came before still have it."""
        return self._classes.get(name) or self._former.get(name)

    def not_offered(self, request: Request) -> Refuse | None:
        """A refusal of a new request whose class the fleet does not have."""
        if request.slo in self._classes or request.resume is not None:
            return None
        return self._no_class(request)

    def _no_class(self, request: Request) -> Refuse:
        names = ", ".join(sorted(name for name in self._classes if name))
        reason = f"there is no class {request.slo!r}; there are {names}"
        return refuse(request, Rule.UNKNOWN_SLO, reason)

    def decide(
        self,
        request: Request,
        tried: tuple[str, ...],
        now: int,
        rng: random.Random,
        attempt: int = 1,
        waited_ns: int = 0,
        shun: str = "",
    ) -> Verdict:
        """Where the request goes; `tried` are the endpoints that have failed it.

        `shun` is a site where it goes only if there is no other.

        What it has waited in the router is gone from its objective.
        """
        if self.models.is_plain:
            return self.decide_model(request, tried, now, rng, attempt, waited_ns, shun)

        def decide(one: Request) -> Verdict:
            return self.decide_model(one, tried, now, rng, attempt, waited_ns, shun)

        slo = self.class_of(request.slo)
        return self.models.decide(request, slo, now, decide, again=attempt > 1)

    def instead(
        self,
        request: Request,
        why: str,
        now: int,
        rng: random.Random,
        waited_ns: int = 0,
        *,
        in_time: bool = False,
        may_wait: bool = False,
    ) -> Verdict | None:
        """Where the stand-in of its class answers what would wait too long; None: nowhere."""
        slo = self.class_of(request.slo)
        if slo is None or not slo.stand_in:
            return None

        def decide(one: Request) -> Verdict:
            return self.decide_model(one, (), now, rng, waited_ns=waited_ns)

        chances = {"in_time": in_time, "may_wait": may_wait}
        return self.models.stand_in(request, slo, why, now, decide, **chances)

    def decide_model(
        self,
        request: Request,
        tried: tuple[str, ...],
        now: int,
        rng: random.Random,
        attempt: int = 1,
        waited_ns: int = 0,
        shun: str = "",
    ) -> Verdict:
        """The same among the endpoints of the model that it says, and of no other."""
        if request.resume is not None and self._limits.resume_same_numerics:
            request = replace(request, resume=replace(request.resume, exact=True))
        slo = self.class_of(request.slo)
        if slo is None:
            return Verdict(self._no_class(request))
        slo = self._residence.of(request.tenant, slo)
        if request.deadline_ns is not None and request.deadline_ns <= now:
            return Verdict(refuse(request, Rule.DEADLINE, "the deadline has passed"))
        pool = self._registry.pool(request.model)
        if pool is None and not self._registry.is_empty:
            reason = f"no endpoint serves the model {request.model!r}"
            return Verdict(refuse(request, Rule.UNKNOWN_MODEL, reason))
        if pool is None or not pool.members:
            return Verdict(no_endpoint(request, (), 0, self._limits))
        need = self._need(request, slo, pool, tried, now)
        above_ns = min(request.waited_ns, int(_WAITED_ABOVE * need.objective_ns))
        need.objective_ns -= waited_ns + above_ns
        judged = pool.members
        if pool.is_large:
            judged = pool.shortlist((need.placed, self._owner(need)), rng, request.adapter)
        candidates = judge(judged, need, now)
        able = _able(candidates, begun=request.resume is not None)
        if not able:
            if not pool.knows(request.adapter) and all(
                c.excluded == NO_ADAPTER for c in candidates
            ):
                return Verdict(unknown_adapter(request, candidates), need, candidates)
            wait_ns = min(tracked.breaker.closes_in_ns(now) for tracked in judged)
            refusal = no_endpoint(request, candidates, wait_ns, self._limits)
            # What fits nowhere waits for nothing.
            return Verdict(refusal, need, room=refusal.rule is Rule.TOO_LONG)
        able = self._best_after_failure(request, tried, able, shun)
        verdict = self._choose(need, able, candidates, attempt, now, rng)
        if not verdict.room and (new := self._new_with_a_slot(candidates)):
            other = self._choose(need, new, candidates, attempt, now, rng)
            return other if other.room and other.chosen is not None else verdict
        return verdict

    def _new_with_a_slot(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Those that only their share of the turns keeps from being chosen; see warming."""
        by_name = self._registry.by_name
        new = [one for one in candidates if one.excluded == WARMING]
        return [one for one in new if by_name[one.endpoint].site.warming.has_slot]

    def _choose(
        self,
        need: Need,
        able: list[Candidate],
        candidates: tuple[Candidate, ...],
        attempt: int,
        now: int,
        rng: random.Random,
    ) -> Verdict:
        request, limits = need.request, self._limits
        chosen, rule = choose(need, able, self.strain, limits, now, rng)
        if chosen.ttft_ns > limits.queue_horizon_ns:
            best = min(able, key=lambda candidate: candidate.ttft_ns)
            decision: Decision = overload(request, best, need.objective_ns, candidates, limits, rng)
            return Verdict(decision, need, candidates, room=False)
        # A stream that has begun has nothing to lose: whatever comes before the deadline is a gain.
        deadline_ns = None if request.resume is not None else request.deadline_ns
        if deadline_ns is not None and now + chosen.ttft_ns > deadline_ns:
            first_ns = min(self._expected_ns(candidate, need, now) for candidate in able)
            if now + first_ns > deadline_ns:
                reason = (
                    f"the first token is expected in {span(first_ns)},"
                    f" the deadline is in {span(deadline_ns - now)}"
                )
                return Verdict(refuse(request, Rule.DEADLINE, reason, candidates), need, candidates)
        decision = Send(
            request.id,
            chosen.endpoint,
            chosen.site,
            rule,
            need.slo.name,
            need.objective_ns,
            candidates,
            attempt,
            self._mode(request, chosen),
            _hedge_ns(need, chosen, attempt),
            attempts_left(request, len(need.tried), limits),
            request.model if request.asked not in {"", request.model} else "",
            request.asked,
            request.because,
        )
        return Verdict(decision, need, candidates, chosen, self._has_room(chosen, able))

    def _has_room(self, chosen: Candidate, able: list[Candidate]) -> bool:
        """Whether some endpoint can take one more without a queue there, in time for all.

        Where none of this router's requests is, one may go whatever is said of the queue: reports
        may be wrong, and only an answer tells.
        """
        if self._is_roomy(chosen):
            return True
        by_name = self._registry.by_name
        return any(self._is_roomy(one) or not by_name[one.endpoint].in_flight for one in able)

    def _is_roomy(self, one: Candidate) -> bool:
        """Little enough waits that no order is lost by sending there, and tokens come in time."""
        return one.flows and one.queue_ns <= self._room_ns + one.network_ns

    def _need(
        self, request: Request, slo: SloClass, pool: Pool, tried: tuple[str, ...], now: int
    ) -> Need:
        session = None
        if request.session:
            session = self._sessions.look_up(request.session_key, request.hint, now)
        placed = None
        cached_tokens = 0
        if session is not None:
            placed = self._registry.by_name.get(session.endpoint)
            cached_tokens = session.cached_of(request.prompt_tokens, request.prefix)
        marks = marks_of(request.prefix) if request.prefix else []
        block_tokens = request.prefix_block_tokens
        hot_tokens = self.hot.shared_blocks(marks) * block_tokens if marks else 0
        expected_tokens = self.output[slo.name].expected(request.max_new_tokens)
        purse = self._registry.purses.of(request.tenant)
        return Need(
            request,
            slo,
            self._registry.confidences.index(slo.confidence),
            slo.ttft_objective_ns(request.prompt_tokens),
            expected_tokens,
            marks,
            block_tokens,
            hot_tokens,
            session,
            placed,
            cached_tokens,
            self._sessions.turns_ahead(),
            tried,
            bool(tried)
            or bool(request.adapter)
            or request.resume is not None
            or slo.home_only
            or purse.is_bounded
            or 0 < pool.context_min < request.prompt_tokens,
            expected_tokens * _EGRESS_BYTES_PER_TOKEN,
            LaneKey(
                pool.members[0].endpoint.model,
                slo.home_only,
                "" if pool.all_have(request.adapter) else request.adapter,
            ),
            purse,
        )

    def _best_after_failure(
        self, request: Request, tried: tuple[str, ...], able: list[Candidate], shun: str
    ) -> list[Candidate]:
        """Those that are to be chosen from, given what has failed; all for a first attempt.

        The last attempt is made at a site where none has failed, if there is one: a site may die
        one connection after the other, and its neighbours serve on.
        """
        if tried and attempts_left(request, len(tried), self._limits) <= 1:
            by_name = self._registry.by_name
            failed = {by_name[name].site.name for name in tried if name in by_name}
            able = [one for one in able if one.site not in failed] or able
        elif shun:
            able = [one for one in able if one.site != shun] or able
        if request.resume is not None:
            able = self._best_to_resume(request.resume, able)
        return able

    def _best_to_resume(self, point: ResumePoint, able: list[Candidate]) -> list[Candidate]:
        """Those where the stream goes on most like itself, for the least."""
        ranks = [rank(point, self._registry.by_name[c.endpoint].endpoint.identity) for c in able]
        best = min(ranks)
        return [candidate for candidate, its in zip(able, ranks, strict=True) if its == best]

    def _mode(self, request: Request, chosen: Candidate) -> Mode:
        if request.resume is None:
            return Mode.FRESH
        identity = self._registry.by_name[chosen.endpoint].endpoint.identity
        return mode_at(request.resume, identity) or Mode.REPLAY  # which repeats nothing

    def _owner(self, need: Need) -> Tracked | None:
        name = self.owners.find(need.marks, need.hot_tokens // need.block_tokens)
        return self._registry.by_name.get(name) if name is not None else None

    def _expected_ns(self, candidate: Candidate, need: Need, now: int) -> int:
        """The first token in the middle of what may happen: what a deadline is held against."""
        tracked = self._registry.by_name[candidate.endpoint]
        ahead = tracked.ahead_at(need.expected_tokens, candidate.uncached_tokens, now)
        middle_ns = tracked.ttft.middle_ns(ahead, candidate.uncached_tokens)
        return candidate.network_ns + int(middle_ns) + tracked.overdue_ns(now)


def _able(candidates: Sequence[Candidate], *, begun: bool) -> list[Candidate]:
    """Those that can be chosen. Where that is nobody, those that are new, or that may do better.

    To be tried is better for a request than to be refused, and its attempts are counted. A stream
    that has begun is not refused but waits, and is asked for again and again: it leaves those that
    fail their pause. One that is full would say no, and is worth waiting for.
    """
    reasons = {candidate.excluded for candidate in candidates}
    if "" in reasons:
        wanted = ""
    elif WARMING in reasons:
        wanted = WARMING
    elif ADAPTER_UNHEARD in reasons:
        wanted = ADAPTER_UNHEARD
    elif BEING_PROBED in reasons:
        wanted = BEING_PROBED
    elif FULL not in reasons and not begun:
        wanted = RESTING
    else:
        return []
    return [candidate for candidate in candidates if candidate.excluded == wanted]


def _hedge_ns(need: Need, chosen: Candidate, attempt: int) -> int:
    """After how long a first attempt is hedged: when its promise is broken.

    Not before a part of the objective is gone: where answers take milliseconds, a broken promise
    endangers nothing.
    """
    request = need.request
    if need.slo.hedge_share > 0.0 and attempt == 1 and request.streams and request.resume is None:
        return max(chosen.ttft_ns, int(_HEDGE_SHARE * need.objective_ns))
    return 0
