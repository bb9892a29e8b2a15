"""A snapshot of the core, and what the live router knows beside it, as messages."""

import time
from collections.abc import Callable

from router.live.endpoint import LiveEndpoint
from router.live.roster import Roster
from router.observe.site_latency import Percentiles
from router.policy.allowances import SharedSnapshot
from router.policy.candidate import Candidate
from router.policy.decision import Decision, Refuse, Wait
from router.policy.fleet import SiteKind
from router.policy.request import Request
from router.policy.snapshot import (
    BudgetSnapshot,
    EndpointSnapshot,
    FleetSnapshot,
    Health,
    QuarantinedSnapshot,
    SiteSnapshot,
    TenantSnapshot,
)
from router.policy.trouble import Trouble
from router.policy.units import seconds
from wire.spillway.v1 import fleet_pb2 as pb

_KIND = {SiteKind.HOME: pb.SiteState.HOME, SiteKind.RENTED: pb.SiteState.RENTED}
_HEALTH = {
    Health.UP: pb.EndpointState.UP,
    Health.SUSPECT: pb.EndpointState.SUSPECT,
    Health.DOWN: pb.EndpointState.DOWN,
}
_TROUBLE = {
    Trouble.NONE: pb.SiteState.TROUBLE_NONE,
    Trouble.ENDPOINTS: pb.SiteState.ENDPOINTS,
    Trouble.LINK: pb.SiteState.LINK,
    Trouble.SITE: pb.SiteState.SITE,
}


def fleet_state(
    router: str,
    snapshot: FleetSnapshot,
    roster: Roster,
    percentiles: Callable[[str], Percentiles],
    lent: Callable[[SiteSnapshot], pb.Lent],
) -> pb.FleetState:
    """The state of every site; `percentiles` gives one's recent latency, `lent` what it lends."""
    return pb.FleetState(
        router_id=router,
        sampled_unix_ns=time.time_ns(),
        sites=[_site(site, roster, percentiles(site.name), lent(site)) for site in snapshot.sites],
        sessions=snapshot.sessions,
        open_streams=snapshot.open_streams,
        refused=snapshot.refused,
        resumed=snapshot.resumed,
        tenants=[_tenant(tenant) for tenant in snapshot.tenants],
        store=_store(snapshot.shared) if snapshot.shared is not None else None,
        budgets=[_budget(budget) for budget in snapshot.budgets],
    )


def decision_message(decision: Decision, request: Request) -> pb.Decision:
    """A decision as Explain gives it."""
    message = pb.Decision(
        rule=decision.rule.value,
        reason=decision.reason,
        candidates=[_candidate(candidate) for candidate in decision.candidates],
        session=request.session,
        slo=decision.slo,
    )
    if isinstance(decision, Refuse):
        message.action = pb.Decision.REFUSE
        message.retry_after_s = seconds(decision.retry_after_ns)
    elif isinstance(decision, Wait):
        message.action = pb.Decision.WAIT
        message.wait_s = seconds(decision.expected_ns)
    else:
        message.action = pb.Decision.SEND
        message.site = decision.site
        message.endpoint = decision.endpoint
        message.model = decision.model
    return message


def quarantined_message(kept: QuarantinedSnapshot) -> pb.Quarantined:
    """A prompt in quarantine as ListQuarantine gives it."""
    return pb.Quarantined(
        fingerprint=kept.fingerprint,
        model=kept.model,
        tenant=kept.tenant,
        endpoints=kept.endpoints,
        age_s=seconds(kept.age_ns),
        left_s=seconds(kept.left_ns),
        refused=kept.refused,
        prompt_tokens=kept.prompt_tokens,
    )


def _store(shared: SharedSnapshot) -> pb.SharedState:
    return pb.SharedState(
        away=shared.away,
        routers=shared.routers,
        held=[pb.Held(bucket=name, amount=amount) for name, amount in shared.held],
    )


def _budget(budget: BudgetSnapshot) -> pb.BudgetState:
    return pb.BudgetState(
        site=budget.site,
        tenant=budget.tenant,
        month=budget.month,
        spent_usd=budget.spent_usd,
        most_usd=budget.most_usd,
        warn_usd=budget.warn_usd,
    )


def _tenant(tenant: TenantSnapshot) -> pb.TenantState:
    return pb.TenantState(
        name=tenant.name,
        weight=tenant.weight,
        waiting=tenant.waiting,
        admitted=tenant.admitted,
        refused=tenant.refused,
        work_tokens=tenant.work_tokens,
    )


def _site(site: SiteSnapshot, roster: Roster, latency: Percentiles, lent: pb.Lent) -> pb.SiteState:
    live = {e.name: roster.get(e.name) for e in site.endpoints}
    reports = [e.follower.load.last for e in live.values() if e is not None]
    heard = [report for report in reports if report is not None]
    endpoints = [_endpoint(endpoint, live[endpoint.name]) for endpoint in site.endpoints]
    # Listed, and never heard from: the core does not know it, and whoever listed it must.
    strangers = [e for e in roster if e.site == site.name and e.name not in live]
    endpoints += [_stranger(endpoint) for endpoint in strangers]
    return pb.SiteState(
        name=site.name,
        kind=_KIND[site.kind],
        draining=site.draining,
        endpoints=endpoints,
        sessions=site.sessions,
        open_streams=site.open_streams,
        turns=site.turns,
        tokens=site.output_tokens,
        failures=site.failures,
        cost_usd=site.spend_usd,
        prefix_hit_tokens=sum(report.prefix_hit_tokens for report in heard),
        prefix_query_tokens=sum(report.prefix_query_tokens for report in heard),
        ttft_s_p50=seconds(latency.ttft_ns_p50),
        ttft_s_p99=seconds(latency.ttft_ns_p99),
        itl_s_p50=seconds(latency.itl_ns_p50),
        itl_s_p99=seconds(latency.itl_ns_p99),
        overflow_turns=site.overflow_turns,
        trouble=_TROUBLE[site.trouble],
        leaving=site.leaving,
        lent=lent if lent.phase else None,
        warming_share=0.0 if site.warming_share >= 1.0 else site.warming_share,
        lease_until_unix_ns=site.lease_until_unix_ns or 0,
    )


def _endpoint(endpoint: EndpointSnapshot, live: LiveEndpoint | None) -> pb.EndpointState:
    state = pb.EndpointState(
        name=endpoint.name,
        instance_id=endpoint.instance,
        health=_HEALTH[endpoint.health],
        draining=endpoint.draining,
        lent=endpoint.lent,
        adapters_loaded=endpoint.adapters_loaded,
        in_flight=endpoint.in_flight,
        running_requests=endpoint.running,
        waiting_requests=endpoint.waiting,
        queued_prefill_tokens=endpoint.queued_prefill_tokens,
        kv_usage=endpoint.kv_usage,
        rtt_s=seconds(endpoint.rtt_ns),
        report_age_s=-1 if endpoint.report_age_ns is None else seconds(endpoint.report_age_ns),
        model=endpoint.model,
        itl_s=seconds(endpoint.itl_ns),
        ttft_s=seconds(endpoint.ttft_ns),
    )
    if endpoint.gateway is not None:
        state.endpoints_up = endpoint.gateway.endpoints_up
        state.endpoints = endpoint.gateway.endpoints
        state.trouble = endpoint.gateway.excluded
    if live is not None:
        state.address = live.address
        state.linked = live.link.stands
        state.tokens_per_s = live.follower.load.tokens_per_s
        report = live.follower.load.last
        if report is not None:
            state.attention_backend = report.attention_backend
            state.generated_tokens = report.generated_tokens
    return state


def _stranger(live: LiveEndpoint) -> pb.EndpointState:
    return pb.EndpointState(
        name=live.name, address=live.address, health=pb.EndpointState.DOWN, report_age_s=-1
    )


def _candidate(candidate: Candidate) -> pb.Candidate:
    age_ns = candidate.report_age_ns
    return pb.Candidate(
        site=candidate.site,
        endpoint=candidate.endpoint,
        ttft_s=seconds(candidate.ttft_ns),
        network_s=seconds(candidate.network_ns),
        queue_s=seconds(candidate.queue_ns),
        prefill_s=seconds(candidate.prefill_ns),
        adapter_s=seconds(candidate.adapter_ns),
        uncached_tokens=candidate.uncached_tokens,
        cached_tokens=candidate.cached_tokens,
        price_usd=candidate.price_usd,
        meets_objective=candidate.meets_objective,
        excluded=candidate.excluded,
        report_age_s=-1 if age_ns is None else seconds(age_ns),
    )
