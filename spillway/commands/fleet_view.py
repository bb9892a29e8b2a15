"""A fleet's state as rows of text, for `status` and `top`."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from spillway.commands.looking import Part
from spillway.commands.moment import shown, span
from spillway.commands.terminal import FoldedTable, seconds

if TYPE_CHECKING:
    from wire.spillway.v1.fleet_pb2 import BudgetState, EndpointState, FleetState, SiteState

NS_PER_S = 1_000_000_000
SITE_COLUMNS = (
    "site", "kind", "state", "up", "sessions", "streams", "turns", "overflow", "failures",
    "tokens", "ttft p50", "ttft p99", "itl p50", "itl p99", "cache hits", "cost",
)  # fmt: skip
ENDPOINT_COLUMNS = (
    "endpoint", "address", "model", "state", "in flight", "running", "waiting", "kv",
    "tokens/s", "rtt", "report age", "behind it",
)  # fmt: skip
BUDGET_COLUMNS = ("budget of", "kind", "month", "spent", "warn", "most", "state")
TENANT_COLUMNS = ("tenant", "weight", "waiting", "sent", "refused", "work")


def fleet_title(state: "FleetState") -> str:
    """What the router does in all, in a line."""
    spent_usd = sum(site.cost_usd for site in state.sites)
    return (
        f"{state.router_id}: {state.sessions} sessions, {state.open_streams} open streams,"
        f" {state.resumed} resumed, {state.refused} refused, {spent_usd:.4f} USD spent"
    )


def fleet_parts(state: "FleetState") -> list[Part]:
    """All of a fleet's state: tables, and sentences below them."""
    tables = [
        FoldedTable(columns, rows)
        for columns, rows in (
            (SITE_COLUMNS, site_rows(state)),
            (ENDPOINT_COLUMNS, endpoint_rows(state)),
            (TENANT_COLUMNS, tenant_rows(state)),
            (BUDGET_COLUMNS, budget_rows(state)),
        )
        if rows or columns in (SITE_COLUMNS, ENDPOINT_COLUMNS)
    ]
    parts: list[Part] = [part for table in tables for part in (table, "")][:-1]
    parts += scaling_lines(state)
    if shared := shared_line(state):
        parts += ["", shared]
    return [*parts, *standing_lines(state)]


def site_rows(state: "FleetState") -> list[tuple[str, ...]]:
    """A row for each site, in the fleet file's order."""
    return [_site_row(site) for site in state.sites]


def endpoint_rows(state: "FleetState") -> list[tuple[str, ...]]:
    """A row for each endpoint of each site."""
    return [_endpoint_row(one) for site in state.sites for one in site.endpoints]


def scaling_lines(state: "FleetState") -> list[str]:
    """Of each site that scales, how many replicas it should have and why."""
    return [
        f"{site.name}: {site.scaling.serving} replicas serve, {site.scaling.wanted} are wanted:"
        f" it {site.scaling.reason}"
        for site in state.sites
        if site.HasField("scaling")
    ]


def tenant_rows(state: "FleetState") -> list[tuple[str, ...]]:
    """A row for each tenant, in the fleet file's order; none where there is only the default."""
    if len(state.tenants) == 1:
        return []
    return [
        (
            one.name,
            str(one.weight),
            str(one.waiting),
            str(one.admitted),
            str(one.refused),
            f"{one.work_tokens:.0f} tokens",
        )
        for one in state.tenants
    ]


def budget_rows(state: "FleetState") -> list[tuple[str, ...]]:
    """A row for each budget by the month."""
    return [
        (
            one.site or one.tenant,
            "site" if one.site else "tenant",
            f"{one.month // 100}-{one.month % 100:02d}" if one.month else "-",
            f"{one.spent_usd:.4f} USD",
            f"{one.warn_usd:g} USD" if one.HasField("warn_usd") else "-",
            f"{one.most_usd:g} USD" if one.HasField("most_usd") else "-",
            _standing(one),
        )
        for one in state.budgets
    ]


def _standing(budget: "BudgetState") -> str:
    if budget.HasField("most_usd") and budget.spent_usd >= budget.most_usd:
        return "spent"
    high = budget.HasField("warn_usd") and budget.spent_usd > budget.warn_usd
    return "high" if high else "ok"


def _site_row(site: "SiteState") -> tuple[str, ...]:
    up = sum(one.health == one.UP for one in site.endpoints)
    queried = site.prefix_query_tokens
    return (
        site.name,
        site.Kind.Name(site.kind).lower(),
        _site_state(site, up),
        f"{up}/{len(site.endpoints)}",
        str(site.sessions),
        str(site.open_streams),
        str(site.turns),
        str(site.overflow_turns),
        str(site.failures),
        str(site.tokens),
        seconds(site.ttft_s_p50),
        seconds(site.ttft_s_p99),
        seconds(site.itl_s_p50),
        seconds(site.itl_s_p99),
        f"{site.prefix_hit_tokens / queried:.0%}" if queried else "-",
        f"{site.cost_usd:.4f} USD",
    )


def _site_state(site: "SiteState", up: int) -> str:
    """Whether a site takes requests, what it lends, and how long it is there, in a few words."""
    state = "draining" if site.draining else "up" if up else _trouble(site)
    lent = site.lent
    notes = [
        f"lends {replicas} until {shown(until_unix_ns)}"
        for replicas, until_unix_ns in (
            (lent.loaned, lent.loaned_until_unix_ns),
            (lent.scheduled, lent.scheduled_until_unix_ns),
        )
        if replicas
    ]
    if site.HasField("scaling"):
        notes.append(f"wants {site.scaling.wanted} of {site.scaling.replicas_max}")
    if site.warming_share:
        notes.append(f"new: {site.warming_share:.0%} of turns")
    if site.lease_until_unix_ns:
        notes.append(_lease(site.lease_until_unix_ns))
    return ", ".join((state, *notes))


def _lease(until_unix_ns: int) -> str:
    left_s = until_unix_ns / NS_PER_S - time.time()
    return f"lease ends in {span(left_s)}" if left_s > 0 else "lease ended"


def _trouble(site: "SiteState") -> str:
    """Why no endpoint of a site takes requests, in a word."""
    return "unreachable" if site.trouble == site.LINK else "down"


def _endpoint_row(endpoint: "EndpointState") -> tuple[str, ...]:
    health = endpoint.trouble or endpoint.Health.Name(endpoint.health).lower()
    routes = bool(endpoint.endpoints or endpoint.trouble)
    return (
        endpoint.name,
        endpoint.address,
        endpoint.model or "-",
        f"{health}, {'lent' if endpoint.lent else 'draining'}" if endpoint.draining else health,
        str(endpoint.in_flight),
        str(endpoint.running_requests),
        str(endpoint.waiting_requests),
        f"{endpoint.kv_usage:.0%}",
        f"{endpoint.tokens_per_s:.0f}",
        seconds(endpoint.rtt_s),
        seconds(endpoint.report_age_s),
        f"{endpoint.endpoints_up}/{endpoint.endpoints}" if routes else "-",
    )


def standing_lines(state: "FleetState") -> Iterator[str]:
    """Which fleet file the router goes by, and how it stands with that and the audit log."""
    if state.fleet_digest:
        at = datetime.fromtimestamp(state.fleet_read_unix_ns / 1e9, UTC)
        yield f"Its fleet file is {state.fleet_digest[:16]}, read {at:%Y-%m-%d %H:%M:%S} UTC."
    if state.reload_problem:
        yield f"The last reload was refused: {state.reload_problem}"
    if state.audit_head:
        yield f"The head of its audit log is {state.audit_head}."
    if state.audit_problem:
        yield f"No action is taken: the audit log: {state.audit_problem}"
    for one in state.rollouts:
        yield f"{one.name}: {one.said}."
    for other in state.stood_in:
        yield f"{other.stand_in} has stood in for {other.model} for {other.turns} turns."
    for site in state.sites:
        if site.leaving:
            yield f"{site.name} is in the fleet file no longer, and its last streams end."


def shared_line(state: "FleetState") -> str:
    """What the router shares with others, in a sentence; empty where it is alone."""
    if not state.HasField("store"):
        return ""
    held = ", ".join(f"{one.bucket} {one.amount:.4g}" for one in state.store.held)
    if state.store.away:
        return f"The store of what routers share is away; this one holds {held}."
    return f"{state.store.routers} routers share budgets and rates; this one holds {held}."
