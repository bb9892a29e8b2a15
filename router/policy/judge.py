"""Hold one request against one endpoint: the predicted time, its parts, the price, the verdict.

This runs for every candidate of every decision, so it is flat, reads each fact once and calls
nothing that it need not.
"""

from router.policy.candidate import Candidate
from router.policy.need import Need
from router.policy.tracked import BEING_PROBED, RESTING, Tracked

_new_candidate = tuple.__new__


def judge(tracked: Tracked, need: Need, now: int) -> Candidate:
    """The candidate that this endpoint is for this request."""
    prompt_tokens = need.request.prompt_tokens
    cached = tracked.prefix.matched(need.marks) * need.block_tokens if need.marks else 0
    if tracked is need.placed and cached < need.session_cached_tokens:
        cached = need.session_cached_tokens
    if cached >= prompt_tokens:
        # The last token is always computed: its output is the first new one.
        cached = max(0, prompt_tokens - 1)
    uncached = prompt_tokens - cached

    if now <= tracked.fresh_until_ns:
        streams: float = tracked.busyness
        tokens_ahead: float = tracked.tokens_ahead
        silence = 1.0
    else:
        streams, tokens_ahead, silence = tracked.faded_at(now)
    seen = tracked.occupancy
    slots, slot_wait_ns, beside = seen.slots, 0.0, streams
    if slots and streams + 1.0 > slots:
        slot_wait_ns = tracked.slot_wait_ns(streams, need.expected_tokens, now)
        beside = slots - 1.0
    queue, prefill, token_ns = tracked.ttft.predict(
        tokens_ahead, slot_wait_ns, uncached, need.confidence, now
    )
    queue_ns, prefill_ns = int(queue * silence), int(prefill * silence)
    if tracked.pending:
        queue_ns += tracked.overdue_ns(now)
    network_ns = tracked.round_trip.expected_ns
    ttft_ns = network_ns + queue_ns + prefill_ns
    decode = tracked.decode
    itl_ns = int(decode.base_ns + decode.stream_ns * beside)

    site, price_usd, excluded = tracked.site, 0.0, ""
    spend = site.spend
    if spend.is_metered:
        busy_ns = prefill + need.expected_tokens * itl_ns / (streams + 1.0)
        price_usd = need.egress_bytes * spend.egress_usd_per_byte + busy_ns * (
            spend.busy_usd_per_ns if tracked.in_flight else spend.idle_usd_per_ns
        )
    if need.is_bounded or not tracked.is_clear or site.draining or spend.is_budgeted:
        excluded = _excluded(tracked, need, price_usd, now)

    # Work put on an endpoint delays what comes after it as well: prefill counts twice. What nearly
    # every request shares counts nowhere, as every endpoint has it or is about to.
    score_ns = ttft_ns + prefill_ns
    if need.hot_tokens > cached:
        score_ns -= int(2.0 * token_ns * silence * (need.hot_tokens - cached))
    # The named tuple's own constructor is a Python function, and this is called for each endpoint.
    fields = (
        tracked.name,
        site.name,
        site.is_home,
        ttft_ns,
        network_ns,
        queue_ns,
        prefill_ns,
        itl_ns,
        cached,
        uncached,
        price_usd,
        ttft_ns <= need.objective_ns and itl_ns <= need.slo.itl_ns,
        score_ns,
        _doubt_ns(tracked, need, streams, now) if seen.change_per_ns else 0,
        None if seen.report is None else now - seen.heard_ns,
        excluded,
    )
    return _new_candidate(Candidate, fields)


def _doubt_ns(tracked: Tracked, need: Need, streams: float, now: int) -> int:
    """What the requests may cost that others have sent, or seen end, since the last report."""
    seen = tracked.occupancy
    requests = seen.change_per_ns * (now - seen.heard_ns)
    most = seen.others + seen.mean + 1.0
    requests = min(requests, most)
    each_ns = tracked.ttft.token_ns * need.request.prompt_tokens
    if seen.slots and streams + requests >= seen.slots:
        each_ns += tracked.hold_ns(need.expected_tokens) / seen.slots
    return int(requests * each_ns)


def _excluded(tracked: Tracked, need: Need, price_usd: float, now: int) -> str:
    if tracked.gone or not tracked.connected:
        return "not connected"
    if not tracked.breaker.allows(now):
        return RESTING if tracked.breaker.is_open(now) else BEING_PROBED
    report = tracked.occupancy.report
    if tracked.site.draining or (report is not None and report.draining):
        return "draining"
    if need.tried and tracked.name in need.tried:
        return "tried already"
    if need.slo.home_only and not tracked.site.is_home:
        return "outside home, where the class must stay"
    context = tracked.endpoint.max_model_tokens
    if context and need.request.prompt_tokens > context:
        return f"limited to {context} tokens"
    if not tracked.site.spend.allows(price_usd, now):
        return "over budget"
    return ""
