"""Metrics of what there is at the time of a scrape: sites and the endpoints listed right then."""

from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from router.observe.rollout_metrics import rollout_metrics
from router.policy.allowances import SharedSnapshot
from router.policy.leases import LeaseTotals
from router.policy.snapshot import (
    BudgetSnapshot,
    EndpointSnapshot,
    FleetSnapshot,
    Health,
    SiteSnapshot,
    TenantSnapshot,
)
from router.policy.units import seconds

_SITE_GAUGES: Final[dict[str, tuple[str, Callable[[SiteSnapshot], float]]]] = {
    "spillway_open_streams": ("Streams open at a site", lambda s: s.open_streams),
    "spillway_sessions": ("Sessions placed at a site", lambda s: s.sessions),
    "spillway_site_draining": (
        "1 while the site drains, by an operator's doing or as its lease ends",
        lambda s: s.draining,
    ),
    "spillway_site_warming_share": (
        "Of all turns, what a site that is new may have; 1 once it is warm",
        lambda s: s.warming_share,
    ),
    "spillway_site_lease_until_timestamp_seconds": (
        "When the site's lease ends, in seconds since 1970; 0 without one",
        lambda s: seconds(s.lease_until_unix_ns or 0),
    ),
}
_SITE_COUNTERS: Final[dict[str, tuple[str, Callable[[SiteSnapshot], float]]]] = {
    "spillway_turns": ("Attempts sent to a site", lambda s: s.turns),
    "spillway_failures": ("Attempts that failed at a site", lambda s: s.failures),
    "spillway_overflow_turns": (
        "Turns sent to a site because home was predicted to miss",
        lambda s: s.overflow_turns,
    ),
    "spillway_spend_usd": ("Spent on metered capacity and egress", lambda s: s.spend_usd),
}
_TENANT_COUNTERS: Final[dict[str, tuple[str, Callable[[TenantSnapshot], float]]]] = {
    "spillway_tenant_attempts": ("Attempts sent for a tenant", lambda t: t.admitted),
    "spillway_tenant_refused": (
        "Requests of a tenant refused for overload or over its rate",
        lambda t: t.refused,
    ),
}
_ENDPOINT_GAUGES: Final[dict[str, tuple[str, Callable[[EndpointSnapshot], float]]]] = {
    "spillway_endpoint_in_flight": ("This router's requests there", lambda e: e.in_flight),
    "spillway_endpoint_running": ("Running, by its own report", lambda e: e.running),
    "spillway_endpoint_waiting": ("Waiting, by its own report", lambda e: e.waiting),
    "spillway_endpoint_kv_usage": ("Share of the KV cache in use", lambda e: e.kv_usage),
    "spillway_endpoint_rtt_seconds": ("Round trip; 0 until measured", lambda e: seconds(e.rtt_ns)),
    "spillway_endpoint_report_age_seconds": (
        "Age of its last load report; -1 without one",
        lambda e: -1.0 if e.report_age_ns is None else seconds(e.report_age_ns),
    ),
}


class FleetCollector(Collector):
    """Turns a snapshot into metrics whenever one is scraped."""

    def __init__(self, snapshot: Callable[[], FleetSnapshot]) -> None:
        self._snapshot = snapshot

    def describe(self) -> list[Metric]:
        """Nothing, so that registering does not collect."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Every family, made anew."""
        snapshot = self._snapshot()
        yield from rollout_metrics(snapshot)
        sites = snapshot.sites
        endpoints = [endpoint for site in sites for endpoint in site.endpoints]
        for name, (text, site_value) in _SITE_GAUGES.items():
            gauge = GaugeMetricFamily(name, text, labels=("site",))
            for site in sites:
                gauge.add_metric((site.name,), site_value(site))
            yield gauge
        for name, (text, site_value) in _SITE_COUNTERS.items():
            counter = CounterMetricFamily(name, text, labels=("site",))
            for site in sites:
                counter.add_metric((site.name,), site_value(site))
            yield counter
        yield _by_health(sites)
        yield from _of_tenants(snapshot.tenants)
        yield GaugeMetricFamily(
            "spillway_quarantined",
            "Prompts that are refused because engines crashed under them",
            value=len(snapshot.quarantined),
        )
        yield from _of_leases(snapshot.leases)
        yield from _of_budgets(snapshot.budgets)
        if snapshot.shared is not None:
            yield from _of_shared(snapshot.shared)
        for name, (text, endpoint_value) in _ENDPOINT_GAUGES.items():
            gauge = GaugeMetricFamily(name, text, labels=("site", "endpoint"))
            for endpoint in endpoints:
                gauge.add_metric((endpoint.site, endpoint.name), endpoint_value(endpoint))
            yield gauge


def _of_tenants(tenants: tuple[TenantSnapshot, ...]) -> Iterator[Metric]:
    waiting = GaugeMetricFamily(
        "spillway_waiting", "Requests that wait in the router for room", labels=("tenant",)
    )
    for tenant in tenants:
        waiting.add_metric((tenant.name,), tenant.waiting)
    yield waiting
    for name, (text, value) in _TENANT_COUNTERS.items():
        counter = CounterMetricFamily(name, text, labels=("tenant",))
        for tenant in tenants:
            counter.add_metric((tenant.name,), value(tenant))
        yield counter


def _of_shared(shared: SharedSnapshot) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "spillway_store_away", "1 while the store of what routers share is away", value=shared.away
    )
    yield GaugeMetricFamily(
        "spillway_store_routers", "Routers that share, by its last answer", value=shared.routers
    )
    held = GaugeMetricFamily(
        "spillway_store_held", "What this router may use of a shared bucket", labels=("bucket",)
    )
    for bucket, amount in shared.held:
        held.add_metric((bucket,), amount)
    yield held


def _of_budgets(budgets: tuple[BudgetSnapshot, ...]) -> Iterator[Metric]:
    labels = ("site", "tenant")
    spent = GaugeMetricFamily(
        "spillway_budget_spent_usd", "Spent in this calendar month", labels=labels
    )
    most = GaugeMetricFamily("spillway_budget_usd", "May be spent in it", labels=labels)
    warn = GaugeMetricFamily(
        "spillway_budget_warn_usd", "Operators are told above it", labels=labels
    )
    for budget in budgets:
        whose = (budget.site, budget.tenant)
        spent.add_metric(whose, budget.spent_usd)
        for family, usd in ((most, budget.most_usd), (warn, budget.warn_usd)):
            if usd is not None:
                family.add_metric(whose, usd)
    yield from (spent, most, warn)


def _of_leases(totals: LeaseTotals) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "spillway_leases_open", "Requests that were placed and have not ended", value=totals.open
    )
    for name, text, value in (
        ("placed", "Requests that clients take to endpoints themselves", totals.placed),
        ("lapsed", "Leases that nobody used", totals.lapsed),
        ("used_again", "Uses of leases beyond the one that was placed", totals.used_again),
        ("aged_out", "Placed requests whose endpoint never told the end", totals.aged_out),
        ("disputed", "Leases of which client and endpoint told different things", totals.disputed),
    ):
        yield CounterMetricFamily(f"spillway_leases_{name}", text, value=value)


def _by_health(sites: tuple[SiteSnapshot, ...]) -> Metric:
    gauge = GaugeMetricFamily(
        "spillway_endpoints", "Endpoints of a site by health", labels=("site", "health")
    )
    for site in sites:
        for health in Health:
            count = sum(endpoint.health is health for endpoint in site.endpoints)
            gauge.add_metric((site.name, health.value), count)
    return gauge
