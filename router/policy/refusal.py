"""Saying no: the rule, a sentence that says what is wrong, and when asking again may help."""

import random
from collections.abc import Sequence
from dataclasses import replace

from router.policy.candidate import Candidate
from router.policy.decision import Refuse
from router.policy.explanation import exclusions, span
from router.policy.fleet import Limits, Tenant
from router.policy.request import Request
from router.policy.rule import Rule
from router.policy.tracked import FULL, TOO_LONG
from router.policy.units import NS_PER_HOUR
from router.policy.waiting import Waiting

_QUOTA_WAIT_MAX_NS = NS_PER_HOUR
_NOUN_OF = {
    "tokens_per_minute": "tokens a minute",
    "requests_per_minute": "requests a minute",
    "prompt_tokens_per_minute": "prompt tokens a minute",
    "output_tokens_per_minute": "output tokens a minute",
    "streams_max": "streams at a time",
}


def refuse(
    request: Request,
    rule: Rule,
    reason: str,
    candidates: Sequence[Candidate] = (),
    retry_after_ns: int = 0,
) -> Refuse:
    """Refuse a request for this rule."""
    return Refuse(request.id, rule, reason, request.slo, tuple(candidates), retry_after_ns)


def no_endpoint(
    request: Request, candidates: Sequence[Candidate], wait_ns: int, limits: Limits
) -> Refuse:
    """None of the endpoints can be chosen; one may be in `wait_ns`.

    Where one is reached and only full, that is overload: who asks later is served.
    """
    if candidates and all(candidate.excluded == TOO_LONG for candidate in candidates):
        reason = f"{request.prompt_tokens} tokens exceed the context of every endpoint"
        return refuse(request, Rule.TOO_LONG, reason, candidates)
    reason = f"no endpoint can be chosen: {exclusions(candidates)}"
    if not candidates:
        reason = f"no endpoint of model {request.model!r} is listed"
    full = any(candidate.excluded == FULL for candidate in candidates)
    rule = Rule.OVERLOAD if full else Rule.NO_ENDPOINT
    return refuse(request, rule, reason, candidates, retry_after_ns(wait_ns, limits))


def overload(
    request: Request,
    best: Candidate,
    objective_ns: int,
    candidates: Sequence[Candidate],
    limits: Limits,
    rng: random.Random,
) -> Refuse:
    """Even the best endpoint would take longer than any request may wait.

    The refused are asked back when the queue will have come down to the objective, spread over half
    as long again, so that they do not come back together.
    """
    reason = (
        f"the earliest first token, at {best.endpoint}, would take {span(best.ttft_ns)},"
        f" over the {span(limits.queue_horizon_ns)} that a request may wait"
    )
    wait_ns = int((best.ttft_ns - objective_ns) * (1.0 + rng.random() / 2))
    return refuse(request, Rule.OVERLOAD, reason, candidates, retry_after_ns(wait_ns, limits))


def too_late(
    entry: Waiting, candidates: Sequence[Candidate], wait_ns: int, now: int, limits: Limits
) -> Refuse:
    """A request that would wait for longer than its objective, or its deadline, allows."""
    waited_ns = now - entry.arrived_ns
    waited = f", and has waited for {span(waited_ns)}" if waited_ns else ""
    reason = f"it would find no endpoint with room in time for its objective{waited}"
    after_ns = retry_after_ns(wait_ns, limits)
    return refuse(entry.request, Rule.OVERLOAD, reason, candidates, after_ns)


def quarantined(request: Request) -> Refuse:
    """Engines crashed under the request's prompt, and it was to blame."""
    reason = f"engines crashed under this prompt: it is in quarantine as {request.fingerprint}"
    return refuse(request, Rule.QUARANTINED, reason)


def unknown_adapter(request: Request, candidates: Sequence[Candidate]) -> Refuse:
    """Endpoints serve the model, and none of them has the adapter."""
    of_model = f" of model {request.model!r}" if request.model else ""
    reason = f"no endpoint{of_model} has the adapter {request.adapter!r}"
    return refuse(request, Rule.UNKNOWN_ADAPTER, reason, candidates)


def not_entitled(request: Request, reason: str) -> Refuse:
    """The request is for what its tenant may not ask for."""
    return refuse(request, Rule.NOT_ENTITLED, reason)


def quota_exceeded(
    request: Request, tenant: Tenant, quota: str, wait_ns: int, limits: Limits
) -> Refuse:
    """The tenant has used what the quota of this key allows, for so long.

    A quota is a promise, and not a guess: the wait is told as it is, if it is not absurd.
    """
    most, noun = getattr(tenant, quota), _NOUN_OF[quota]
    verb = "has" if quota == "streams_max" else "has used"
    reason = f"tenant {tenant.name} {verb} its {most} {noun}"
    after_ns = max(limits.retry_after_min_ns, min(_QUOTA_WAIT_MAX_NS, wait_ns))
    return replace(refuse(request, Rule.RATE, reason, (), after_ns), quota=quota)


def retry_after_ns(wait_ns: int, limits: Limits) -> int:
    """A wait within the bounds on what a client may be told."""
    return max(limits.retry_after_min_ns, min(limits.retry_after_max_ns, wait_ns))
