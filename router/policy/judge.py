"""Hold one request against each endpoint: the predicted time, its parts, the price, the verdict.

The loop runs for every candidate of every decision. It is flat, reads each fact once and calls
nothing that it need not: at eight endpoints it is two thirds of what a decision costs.
"""

from collections.abc import Iterable

from router.policy.adapters import NO_ADAPTER
from router.policy.candidate import Candidate
from router.policy.need import Need
from router.policy.predictor import Ahead
from router.policy.resume import mode_at
from router.policy.slots import LIKELY_TAKEN
from router.policy.tracked import BEING_PROBED, FULL, RESTING, TOO_LONG, Tracked

OVER_BUDGET = "over budget"
OVER_TENANT_BUDGET = "over its tenant's budget"
WARMING = "new, and given a trickle until it has answered well"

_NO_WAITS = 0, 0, 0
_new_candidate = tuple.__new__  # the named tuple's own constructor is a Python function


def judge(endpoints: Iterable[Tracked], need: Need, now: int) -> tuple[Candidate, ...]:
    """The candidates that these endpoints are for this request."""
    prompt_tokens, adapter = need.request.prompt_tokens, need.request.adapter
    marks, block_tokens, hot_tokens = need.marks, need.block_tokens, need.hot_tokens
    expected_tokens, confidence = need.expected_tokens, need.confidence
    objective_ns, itl_objective_ns = need.objective_ns, need.slo.itl_ns
    per_token = 1.0 / max(1, prompt_tokens)
    candidates = []
    for tracked in endpoints:
        cached = tracked.prefix.matched(marks) * block_tokens if marks else 0
        if tracked is need.placed and cached < need.session_cached_tokens:
            cached = need.session_cached_tokens
        if cached >= prompt_tokens:  # the last token is always computed: it makes the first new one
            cached = max(0, prompt_tokens - 1)
        uncached = prompt_tokens - cached
        streams, tokens_ahead, silence = tracked.standing_at(now)
        seen, slot_wait_ns, beside, engines = tracked.occupancy, 0.0, streams, 1
        if seen.slots and streams + LIKELY_TAKEN > seen.slots:
            slot_wait_ns = tracked.slot_wait_ns(streams, expected_tokens, now)
            beside = seen.slots - 1.0
        if tracked.gateway is not None:
            engines = max(1, tracked.gateway.endpoints_up)
            tokens_ahead, slot_wait_ns = tracked.ahead_below(
                tracked.gateway, Ahead(tokens_ahead, slot_wait_ns), uncached, now
            )
        ttft, decode = tracked.ttft, tracked.decode
        margin, base_ns = ttft.stretch_at(slot_wait_ns > 0.0, confidence, now)
        token_ns = silence * ttft.token_ns
        ahead_ns = token_ns * tokens_ahead + silence * ttft.slot_factor * slot_wait_ns
        if tracked.pending:
            ahead_ns += tracked.overdue_ns(now)
        own_ns = silence * base_ns + token_ns * uncached
        network_ns = tracked.round_trip.expected_ns
        load_ns, adapter_ns, again_ns = _waits(tracked, need, now) if adapter else _NO_WAITS
        expected_ns = network_ns + adapter_ns + int(ahead_ns + own_ns)
        # Placements are compared by the middle, not the promise: the noise of the margins learned
        # for each would choose. Work delays what comes after it as well: it counts twice. What
        # nearly every request shares counts nowhere: every endpoint has it or is about to.
        score_ns = expected_ns + int(token_ns * uncached) + again_ns
        if hot_tokens > cached:
            score_ns -= int(2.0 * token_ns * (hot_tokens - cached))
        queue_ns, prefill_ns = int(margin * ahead_ns), int(margin * own_ns)
        ttft_ns = network_ns + adapter_ns + queue_ns + prefill_ns
        itl_ns = int(decode.base_ns + decode.stream_ns * beside)
        flows = tracked.gap_limits.flows(
            itl_objective_ns, beside, itl_ns, decode.base_ns, uncached * per_token
        )
        site, spend, price_usd, sunk = tracked.site, tracked.site.spend, 0.0, False
        if spend.is_metered:
            busy_ns = prefill_ns + expected_tokens * itl_ns / (streams + 1.0)
            price_usd, sunk = _price(tracked, need.egress_bytes, busy_ns)
        excluded = ""
        held = site.draining or spend.is_budgeted or not site.warming.is_warm
        if need.is_bounded or not tracked.is_clear or held:
            excluded = _excluded(tracked, need, price_usd, now)
        meets = flows and ttft_ns <= objective_ns and itl_ns <= itl_objective_ns
        age_ns = now - seen.heard_ns
        doubt_ns = int(min(tracked.doubt_per_ns * age_ns, tracked.doubt_max_ns))
        # fmt: off
        candidates.append(_new_candidate(Candidate, (
            tracked.name, site.name, site.is_home, ttft_ns, network_ns, queue_ns, prefill_ns,
            itl_ns, cached, uncached, price_usd, meets, score_ns, doubt_ns,
            None if seen.report is None else age_ns, excluded, expected_ns, flows,
            int(token_ns * uncached * beside / engines), sunk, adapter_ns, load_ns,
        )))
        # fmt: on
    return tuple(candidates)


def _waits(tracked: Tracked, need: Need, now: int) -> tuple[int, int, int]:
    """Until the request's adapter is loaded, and can be computed, and what others wait for it."""
    adapters, name = tracked.adapters, need.request.adapter
    load_ns = wait_ns = adapters.load_ns(name, now)
    before = adapters.streams_before(name)
    if before:
        wait_ns += int(tracked.hold_ns(need.expected_tokens) * before / (before + 1))
    return load_ns, wait_ns, load_ns if adapters.is_full else 0


def _price(tracked: Tracked, egress_bytes: float, busy_ns: float) -> tuple[float, bool]:
    """What a request costs there in dollars, and whether the time is paid for anyway."""
    spend = tracked.site.spend
    usd_per_ns = spend.idle_usd_per_ns if tracked.has_spare else spend.busy_usd_per_ns
    price_usd = egress_bytes * spend.egress_usd_per_byte + busy_ns * usd_per_ns
    return price_usd, spend.committed > 0 and usd_per_ns <= 0.0


def _excluded(tracked: Tracked, need: Need, price_usd: float, now: int) -> str:
    without = _without(tracked, need)
    if without == NO_ADAPTER:  # first: where that is so of all, it is what the client is told
        return without
    if away := _away(tracked):
        return away
    if need.tried and tracked.name in need.tried:
        return "tried already"
    if need.slo.home_only and not tracked.site.is_home:
        return "outside home, where the class must stay"
    resume = need.request.resume
    if resume is not None and mode_at(resume, tracked.endpoint.identity) is None:
        return "unable to go on with this stream"
    context = tracked.endpoint.max_model_tokens
    if context and need.request.prompt_tokens > context:
        return TOO_LONG
    if not tracked.site.spend.allows(price_usd, now):
        return OVER_BUDGET
    if not need.purse.allows(price_usd, now):
        return OVER_TENANT_BUDGET
    # Last, because where all are being probed, or new, one is sent more: one that nothing else
    # excludes.
    return _held_back(tracked, now) or without


def _held_back(tracked: Tracked, now: int) -> str:
    """Why it is given little or nothing for now."""
    if not tracked.breaker.allows(now):
        if not tracked.breaker.is_open(now):
            return BEING_PROBED
        return FULL if tracked.breaker.is_full else RESTING
    return "" if tracked.site.warming.allows else WARMING


def _without(tracked: Tracked, need: Need) -> str:
    """Why the request's adapter is not there; empty where it is, or where it has none."""
    adapter = need.request.adapter
    return tracked.adapters.why_not(adapter) if adapter else ""


def _away(tracked: Tracked) -> str:
    """Why it takes nothing, whatever is asked."""
    if tracked.gone or not tracked.connected:
        return "not connected"
    if tracked.name in tracked.site.lent:
        return "lent to other work"
    if tracked.is_draining:
        return "draining"
    return "" if tracked.gateway is None else tracked.gateway.excluded
