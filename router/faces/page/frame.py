"""The state of the fleet as the page reads it: figures only, in the order that page.js names."""

from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final

from router.observe.recent_decisions import Flow, Recorded, flow_of
from router.policy.decision import Refuse, Send
from router.policy.units import NS_PER_S
from wire.spillway.v1 import fleet_pb2 as pb

ENDPOINTS_MAX: Final = 64
"""Shown of one site one by one; the sums are of all."""

_UP, _SUSPECT = pb.EndpointState.UP, pb.EndpointState.SUSPECT
_REASON_CHARS_MAX: Final = 400


def frame(
    state: pb.FleetState, flows: Mapping[str, Flow], decisions: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """Everything that changes; each of the decisions is as `told` tells it, with its number."""
    return {
        "at": state.sampled_unix_ns / NS_PER_S,
        "sessions": state.sessions,
        "open": state.open_streams,
        "refused": state.refused,
        "resumed": state.resumed,
        "waiting": sum(tenant.waiting for tenant in state.tenants),
        "notices": [*_notices(state)],
        "budgets": [_budget(budget) for budget in state.budgets],
        "sites": [_site(site, flows.get(site.name, Flow())) for site in state.sites],
        "decisions": [*decisions],
    }


def _site(site: pb.SiteState, flow: Flow) -> dict[str, Any]:
    up = [one for one in site.endpoints if one.health == _UP]
    heard = [one for one in up if one.report_age_s >= 0]
    return {
        "draining": site.draining,
        "lent": _lent(site.lent) if site.HasField("lent") else None,
        "warming": round(site.warming_share, 3),
        "lease_until": site.lease_until_unix_ns // NS_PER_S,
        "scaling": _scaling(site.scaling) if site.HasField("scaling") else None,
        "trouble": pb.SiteState.Trouble.Name(site.trouble).removeprefix("TROUBLE_").lower(),
        "up": len(up),
        "suspect": sum(one.health == _SUSPECT for one in site.endpoints),
        "linked": sum(one.linked for one in site.endpoints),
        "sessions": site.sessions,
        "open": site.open_streams,
        "turns": site.turns,
        "failures": site.failures,
        "tokens_per_s": round(sum(one.tokens_per_s for one in up), 1),
        "running": sum(one.running_requests for one in heard),
        "waiting": sum(one.waiting_requests for one in heard),
        "kv": round(sum(one.kv_usage for one in heard) / len(heard), 4) if heard else None,
        "rtt_s": round(min((one.rtt_s for one in up if one.rtt_s > 0), default=0.0), 6),
        "usd": round(site.cost_usd, 6),
        "hit": site.prefix_hit_tokens,
        "query": site.prefix_query_tokens,
        "latency": latency(site),
        "flow": [flow.settled, flow.overflow, flow.returned, flow.resumed],
        "endpoints": len(site.endpoints),
        "each": [_endpoint(one) for one in site.endpoints[:ENDPOINTS_MAX]],
    }


def _notices(state: pb.FleetState) -> Iterator[str]:
    """What an operator should know of the router itself, a sentence each."""
    if state.HasField("store") and state.store.away:
        yield (
            "The store that routers share is away: budgets and rates are kept by each router's"
            " last share."
        )
    if state.reload_problem:
        yield f"The last reload was refused: {state.reload_problem}"[:_REASON_CHARS_MAX]
    for one in state.rollouts:
        if one.returned:
            said = f"{one.new.model}, of {one.name}, was taken back: {one.returned}"
            yield said[:_REASON_CHARS_MAX]
    if state.audit_problem:
        yield f"No action is taken: the audit log: {state.audit_problem}"[:_REASON_CHARS_MAX]


def _budget(budget: pb.BudgetState) -> list[Any]:
    """Of which site, or of which tenant, in which month, spent, and of how much; US dollars."""
    return [
        budget.site,
        budget.tenant,
        budget.month,
        round(budget.spent_usd, 4),
        budget.most_usd if budget.HasField("most_usd") else None,
        budget.warn_usd if budget.HasField("warn_usd") else None,
    ]


def _scaling(scaling: pb.Scaling) -> list[Any]:
    """How many replicas are wanted, serve, and may be, and why."""
    return [
        scaling.wanted,
        scaling.serving,
        scaling.replicas_max,
        scaling.reason[:_REASON_CHARS_MAX],
    ]


def latency(site: pb.SiteState) -> list[float]:
    """TTFT p50 and p99, ITL p50 and p99, in seconds; 0 while nothing is known."""
    figures = (site.ttft_s_p50, site.ttft_s_p99, site.itl_s_p50, site.itl_s_p99)
    return [round(figure, 5) for figure in figures]


def _endpoint(one: pb.EndpointState) -> list[Any]:
    return [
        one.name,
        pb.EndpointState.Health.Name(one.health).lower(),
        int(one.draining),
        one.in_flight,
        one.running_requests,
        one.waiting_requests,
        round(one.kv_usage, 3),
        round(one.tokens_per_s, 1),
        one.trouble,
        int(one.lent),
    ]


def _lent(lent: pb.Lent) -> list[Any]:
    """How many of how many, how it stands, until when, how many return, why, and what is wrong."""
    ends = (
        (lent.loaned, lent.loaned_until_unix_ns),
        (lent.scheduled, lent.scheduled_until_unix_ns),
    )
    return [
        lent.loaned + lent.scheduled,
        lent.of,
        pb.Lent.Phase.Name(lent.phase).lower(),
        min((until_ns for replicas, until_ns in ends if replicas), default=0) // NS_PER_S,
        lent.returning,
        lent.reason,
        lent.trouble[:_REASON_CHARS_MAX],
    ]


def _handle(session: str) -> str:
    """The same for the same session, and not its name: that may be a person's."""
    return blake2b(session.encode(), digest_size=3).hexdigest() if session else ""


def told(recorded: Recorded) -> dict[str, Any]:
    """A decision, in the words that a person reads."""
    decision = recorded.decision
    said = {
        "at": round(recorded.unix_ns / NS_PER_S, 3),
        "session": _handle(recorded.session),
        "rule": decision.rule.value,
        "slo": decision.slo,
        "reason": decision.reason[:_REASON_CHARS_MAX],
    }
    if isinstance(decision, Send):
        said |= {"action": "send", "site": decision.site, "flow": flow_of(decision)}
    else:
        said["action"] = "refuse" if isinstance(decision, Refuse) else "wait"
    return said
