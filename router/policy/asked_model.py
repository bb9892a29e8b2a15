"""From the model that a client asks for to the model that answers: versions, and stand-ins.

A name may be served by two versions (`router.policy.rollouts`), and a class may name a cheaper
model that stands in. A stand-in answers only where the asked model cannot: where none of its
endpoints can be chosen, for want of budget for example, or where none is predicted to be in time
and one of the stand-in's is. Whoever asks for a model that nobody serves hears that.

A stream that has begun goes on with its own model and no other. Where it is not known which of
several its beginning came from, it is only made again and compared.

Token ids mean something to one tokenizer. A request that says any goes to a version whose
tokenizer is known to be another one as little as to a stand-in whose tokenizer is not known to be
the same.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from router.policy.entitlement import may_see
from router.policy.explanation import span
from router.policy.fleet import DEFAULT_TENANT, Fleet, SloClass
from router.policy.registry import Registry
from router.policy.request import Request
from router.policy.resume import ResumePoint
from router.policy.rollouts import Rollouts
from router.policy.rule import Rule
from router.policy.sessions import Sessions

if TYPE_CHECKING:
    from router.policy.decider import Verdict

_NOTHING_THERE: Final = frozenset(
    {Rule.NO_ENDPOINT, Rule.UNKNOWN_MODEL, Rule.UNKNOWN_ADAPTER, Rule.TOO_LONG}
)
"""Refusals that the other version of a model may have another answer to."""

_STOOD_IN_FOR: Final = frozenset({Rule.NO_ENDPOINT, Rule.OVERLOAD, Rule.DEADLINE})
"""Refusals for want of capacity, money or time."""

Decide = Callable[[Request], "Verdict"]
"""Where a request goes among the endpoints of its model, and of no other."""


class AskedModels:
    """Chooses the model of each request, and has it decided."""

    def __init__(self, fleet: Fleet, registry: Registry, sessions: Sessions) -> None:
        self._registry = registry
        self._sessions = sessions
        self.rollouts = Rollouts(fleet.rollouts)
        self.stood_in: dict[tuple[str, str], int] = {}  # turns, by asked model and stand-in
        self._take(fleet)

    def adopt(self, fleet: Fleet) -> None:
        """The fleet is another one."""
        self.rollouts.adopt(fleet)
        self._take(fleet)

    def _take(self, fleet: Fleet) -> None:
        self._tenants = {tenant.name: tenant for tenant in fleet.tenants}
        stand_ins = any(slo.stand_in for slo in fleet.slo_classes)
        self.is_plain = not (len(self.rollouts) or stand_ins)  # a model is its name

    def decide(
        self, request: Request, slo: SloClass | None, now: int, decide: Decide, *, again: bool
    ) -> "Verdict":
        """Where the request goes, and as which model; `again` after an attempt that failed."""
        if request.resume is not None:
            if request.asked or again:
                return decide(request)
            return self._brought(request, request.resume, slo, decide)
        name = request.asked or request.model
        verdict = self._named(request, name, "", now, decide, again=again)
        why = _fails(verdict)
        if not why and not verdict.room:  # where it waits for the stand-in, that is looked at, too
            why = request.because.partition(": ")[2]
        if slo is None or not why:
            return verdict
        refused = verdict.chosen is None  # then the stand-in, whenever it can, is better
        chances = {"in_time": not refused, "may_wait": refused}
        return self.stand_in(request, slo, why, now, decide, **chances) or verdict

    def stand_in(
        self,
        request: Request,
        slo: SloClass,
        why: str,
        now: int,
        decide: Decide,
        *,
        in_time: bool,
        may_wait: bool = False,
    ) -> "Verdict | None":
        """Where the stand-in of the class answers; None where it does not.

        It has to have room if it may not be waited for, and to be `in_time` if that is asked. `why`
        is what is wrong with the asked model.
        """
        name, other = request.asked or request.model, slo.stand_in
        if not self.may_stand_in(request, slo):
            return None
        if request.says_tokens and not self._same_tokenizer(name, other):
            return None
        because = f"{other} stands in for {name}: {why}"
        instead = self._named(request, other, because, now, decide, again=False, asked=name)
        chosen = instead.chosen
        if chosen is None or not (instead.room or may_wait):
            return None
        if in_time and not chosen.meets_objective:
            return None
        return instead

    def count_stand_in(self, request: Request) -> None:
        """A turn is sent as the stand-in. Who asks for what nobody has ever served gets none."""
        names = request.asked, request.model
        self.stood_in[names] = self.stood_in.get(names, 0) + 1

    def may_stand_in(self, request: Request, slo: SloClass) -> bool:
        """Whether the stand-in of its class may answer a request."""
        name = request.asked or request.model
        if not slo.stand_in or request.no_stand_in or name in {"", slo.stand_in}:
            return False
        tenant = self._tenants.get(request.tenant) or self._tenants.get(DEFAULT_TENANT)
        return request.resume is None and may_see(tenant, slo.stand_in)

    def _named(
        self,
        request: Request,
        name: str,
        because: str,
        now: int,
        decide: Decide,
        *,
        again: bool,
        asked: str = "",
    ) -> "Verdict":
        """Where a request goes as this model, or as a version of it."""
        rollout = self.rollouts.get(name)
        if rollout is None:
            if because:
                request = replace(request, model=name, asked=asked, because=because)
            elif request.model != name or request.because:
                request = replace(request, model=name, asked="", because="")
            return decide(request)
        session, at = None, ""
        if request.session:
            session = self._sessions.look_up(request.session_key, request.hint, now)
        if session is not None and session.endpoint in self._registry.by_name:
            at = self._registry.by_name[session.endpoint].endpoint.model
        first: Verdict | None = None
        for version in self.rollouts.versions_for(rollout, request, session, at, again=again):
            if request.says_tokens and self._is_other_tokenizer(rollout.standing, version):
                version = rollout.standing  # noqa: PLW2901 - the one whose tokens they are
            asks = replace(request, model=version, asked=asked or name, because=because)
            verdict = decide(asks)
            if verdict.decision.rule not in _NOTHING_THERE:
                return verdict
            first = first or verdict
        return first or decide(request)  # a roll-out has a version at least

    def _brought(
        self,
        request: Request,
        point: ResumePoint,
        slo: SloClass | None,
        decide: Decide,
    ) -> "Verdict":
        """Where a stream goes on that has begun elsewhere, at whichever model answered there."""
        names = [request.model]
        if slo is not None and self.may_stand_in(replace(request, resume=None), slo):
            names.append(slo.stand_in)
        models = [one for name in names for one in self._models_of(name)]
        if models == [request.model]:
            return decide(request)
        first: Verdict | None = None
        for model in models:
            sure = len(models) == 1 or self._gave(model, point)
            own = point if sure else replace(point, prompt_known=False)
            verdict = decide(replace(request, model=model, asked=request.model, resume=own))
            if verdict.decision.rule not in _NOTHING_THERE:
                return verdict
            first = first or verdict
        return first or decide(request)

    def _models_of(self, name: str) -> tuple[str, ...]:
        rollout = self.rollouts.get(name)
        return (name,) if rollout is None else rollout.versions

    def _gave(self, model: str, point: ResumePoint) -> bool:
        """Whether a model is known to be the one that a stream's beginning is of."""
        pool = self._registry.pool(model)
        members = pool.members if pool is not None else ()
        return any(point.identity.is_like(one.endpoint.identity) for one in members)

    def _tokenizers(self, model: str) -> set[str]:
        found = set()
        for one in self._models_of(model):
            pool = self._registry.pool(one)
            members = pool.members if pool is not None else ()
            found |= {member.endpoint.identity.tokenizer for member in members}
        return found

    def _is_other_tokenizer(self, standing: str, version: str) -> bool:
        """Whether a version is known to have another tokenizer."""
        if version == standing:
            return False
        ours, theirs = self._tokenizers(standing) - {""}, self._tokenizers(version) - {""}
        return bool(ours and theirs) and ours != theirs

    def _same_tokenizer(self, name: str, other: str) -> bool:
        """Whether a stand-in is known to have the same tokenizer."""
        ours, theirs = self._tokenizers(name), self._tokenizers(other)
        return ours == theirs and len(ours) == 1 and "" not in ours


def _fails(verdict: "Verdict") -> str:
    """Why nothing of the asked model is in time, or can be chosen; empty where something is."""
    chosen, need, decision = verdict.chosen, verdict.need, verdict.decision
    if need is None and decision.rule is not Rule.NO_ENDPOINT:
        return ""
    if chosen is None:
        return decision.reason if decision.rule in _STOOD_IN_FOR else ""
    if need is None or chosen.meets_objective:
        return ""
    took = span(chosen.ttft_ns)
    return f"the best of it would take {took}, and {span(need.objective_ns)} are promised"
