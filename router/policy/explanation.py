"""Decisions in words."""

from collections import Counter
from collections.abc import Sequence

from router.policy.candidate import Candidate
from router.policy.rule import Rule
from router.policy.units import NS_PER_MS, NS_PER_S


def sentence(
    rule: Rule, chosen: Candidate, candidates: Sequence[Candidate], objective_ns: int
) -> str:
    """Why this candidate was chosen, with the figures that decided."""
    return f"{_why(rule, chosen, candidates, objective_ns)}; {parts(chosen)}"


def parts(candidate: Candidate) -> str:
    """The predicted time to first token of a candidate, taken apart."""
    cached = ""
    if candidate.cached_tokens:
        prompt = candidate.cached_tokens + candidate.uncached_tokens
        cached = f", {candidate.cached_tokens} of {prompt} tokens cached"
    adapter = f" adapter {span(candidate.adapter_ns)}," if candidate.adapter_ns else ""
    price = f", costs ${candidate.price_usd:.2g}" if candidate.price_usd else ""
    return (
        f"first token at {candidate.endpoint} within {span(candidate.ttft_ns)}"
        f" (network {span(candidate.network_ns)}, queue {span(candidate.queue_ns)},{adapter}"
        f" prefill {span(candidate.prefill_ns)}){cached}{price}"
    )


def exclusions(candidates: Sequence[Candidate]) -> str:
    """How many endpoints could not be chosen, and why."""
    reasons = Counter(candidate.excluded for candidate in candidates if candidate.excluded)
    return ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))


def span(nanoseconds: int) -> str:
    """A time with two or three digits: 8.3 ms, 120 ms, 1.5 s."""
    if nanoseconds >= NS_PER_S:
        return f"{nanoseconds / NS_PER_S:.1f} s"
    milliseconds = nanoseconds / NS_PER_MS
    return f"{milliseconds:.0f} ms" if milliseconds >= 10 else f"{milliseconds:.1f} ms"


def _why(rule: Rule, chosen: Candidate, candidates: Sequence[Candidate], objective_ns: int) -> str:
    objective = f"the objective of {span(objective_ns)}"
    if rule is Rule.ONLY:
        others = exclusions(candidates)
        return "no other endpoint could be chosen" + (f" ({others})" if others else "")
    if rule is Rule.STICKY and chosen.meets_objective:
        return f"the session stays where it is and meets {objective}"
    if rule is Rule.STICKY:
        return f"the session stays with its cache, more likely than not within {objective}"
    if rule is Rule.HOME:
        return f"{chosen.site} is home and meets {objective}"
    if rule is Rule.SPILL_BACK:
        return f"the session returns home, where it is well within {objective}"
    if rule is Rule.OVERFLOW:
        return f"{_home(candidates, objective_ns)}; {chosen.site} meets it"
    return f"no endpoint meets {objective}, this one comes nearest"


def _home(candidates: Sequence[Candidate], objective_ns: int) -> str:
    objective = f"the objective of {span(objective_ns)}"
    home = [c for c in candidates if c.home and not c.excluded]
    if not home:
        return f"no home endpoint could be chosen ({exclusions(candidates)})"
    best = min(home, key=lambda c: c.ttft_ns)
    if best.meets_objective:
        return f"home is pressed and keeps its last room within {objective} for warmer sessions"
    if best.ttft_ns <= objective_ns:
        return f"home would take {span(best.ttft_ns)}, too unsure to count on {objective}"
    return f"home would take {span(best.ttft_ns)}, over {objective}"
