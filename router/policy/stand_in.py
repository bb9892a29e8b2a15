"""A stand-in for who would wait, in the router's queue, for longer than the objective allows."""

import random
from collections.abc import Callable, Iterator

from router.policy.admission import Admission
from router.policy.decider import Decider, Verdict
from router.policy.decision import Decision, Refuse, Wait
from router.policy.explanation import span


def rather(
    verdict: Verdict, admission: Admission, decider: Decider, now: int, rng: random.Random
) -> Verdict:
    """What is decided, or the stand-in's answer where that is to wait for too long."""
    need = verdict.need
    if need is None or not need.slo.stand_in or not admission.must_wait(verdict):
        return verdict
    answer = admission.explain(verdict, now, rng)
    if isinstance(answer, Refuse):
        why, in_time = answer.reason, False  # and if it has no room either, it is waited for
    elif answer.expected_ns > need.objective_ns:
        why, in_time = _too_long(answer, need.objective_ns), True
    else:
        return verdict
    chances = {"in_time": in_time, "may_wait": not in_time}
    return decider.instead(need.request, why, now, rng, **chances) or verdict


def after_waiting(
    admission: Admission,
    decider: Decider,
    commit: Callable[[Verdict, int], Decision],
    now: int,
    rng: random.Random,
) -> Iterator[Decision]:
    """What those are told who have waited in vain: where a stand-in answers, or that none does."""
    for entry, refusal in admission.expired(now, rng):
        waited_ns = now - entry.arrived_ns
        other = decider.instead(entry.request, refusal.reason, now, rng, waited_ns)
        if other is None:
            admission.count_refused(entry)
        yield refusal if other is None else commit(other, now)


def _too_long(answer: Wait, objective_ns: int) -> str:
    return f"it would wait for {span(answer.expected_ns)}, and {span(objective_ns)} are promised"
