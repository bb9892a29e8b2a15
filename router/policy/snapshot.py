"""The state of the fleet as frozen values: what Fleet.Watch, the metrics and `status` show."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

from router.policy.allowances import SharedSnapshot
from router.policy.asked_model import AskedModels
from router.policy.fleet import Limits, SiteKind
from router.policy.gateway import Gateway
from router.policy.leases import LeaseTotals
from router.policy.load import LoadReport
from router.policy.quarantine import Quarantine
from router.policy.registry import Registry
from router.policy.rollouts import RolloutSnapshot
from router.policy.sessions import Sessions
from router.policy.site_state import SiteState
from router.policy.tracked import Tracked
from router.policy.trouble import Trouble, trouble_of


class Health(Enum):
    """Whether an endpoint takes requests."""

    UP = "up"
    SUSPECT = "suspect"  # failing or coming back: probed, one request at a time
    DOWN = "down"  # disconnected, breaker open, or gone


@dataclass(frozen=True, slots=True)
class EndpointSnapshot:
    """One endpoint. Report fields are those of its last load report, 0 before the first."""

    name: str
    site: str
    model: str
    instance: str
    health: Health
    draining: bool
    in_flight: int  # this router's own
    running: int
    waiting: int
    queued_prefill_tokens: int
    kv_usage: float
    ttft_ns: int
    itl_ns: int
    rtt_ns: int  # 0: not measured yet
    report_age_ns: int | None  # None: no load report yet
    gateway: Gateway | None = None  # of an endpoint that is a router
    lent: bool = False
    adapters_loaded: tuple[str, ...] = ()

    @property
    def streams(self) -> int:
        """What runs there: by its report, which counts other routers', and at least our own."""
        return max(self.in_flight, self.running + self.waiting)


@dataclass(frozen=True, slots=True)
class SiteSnapshot:
    """One site and what this router did with it since it started."""

    name: str
    kind: SiteKind
    draining: bool
    leaving: bool  # the fleet has it no longer, and its last streams end
    endpoints: tuple[EndpointSnapshot, ...]
    sessions: int  # placed at the site
    open_streams: int
    turns: int  # requests sent, retries included
    output_tokens: int
    failures: int
    trouble: Trouble
    overflow_turns: int  # turns that came here because home was predicted to miss
    spend_usd: float  # on metered capacity and egress
    drained: bool = False  # by an operator, whatever else there is
    warming_share: float = 1.0  # of all turns, that a new site may have; 1: it is warm
    lease_until_unix_ns: int | None = None


@dataclass(frozen=True, slots=True)
class TenantSnapshot:
    """One tenant: what of it waits in this router, and what became of its requests."""

    name: str
    weight: int
    waiting: int
    admitted: int  # requests sent, retries included
    refused: int  # for overload, or over its rate
    work_tokens: float  # of what was sent; an output token counts as two


@dataclass(frozen=True, slots=True)
class QuarantinedSnapshot:
    """A prompt that is kept away."""

    fingerprint: str
    model: str
    tenant: str
    prompt_tokens: int
    endpoints: tuple[str, ...]  # that crashed under it, the latest last
    age_ns: int
    left_ns: int
    refused: int


@dataclass(slots=True)
class Totals:
    """What a router has done since it started."""

    decided: int = 0  # requests, whatever became of them
    refused: int = 0
    retried: int = 0
    resumed: int = 0  # times that a stream went on elsewhere
    late: int = 0  # answers that missed an objective


@dataclass(frozen=True, slots=True)
class BudgetSnapshot:
    """A budget by the calendar month, in US dollars."""

    site: str  # or empty, where it is a tenant's
    tenant: str
    month: int  # such as 202611; 0: nobody keeps accounts
    spent_usd: float  # on metered capacity and egress, by all that is known of
    most_usd: float | None  # then nothing more goes where it costs
    warn_usd: float | None  # operators are told above it

    @property
    def is_spent(self) -> bool:
        """Whether nothing is left of it."""
        return self.most_usd is not None and self.spent_usd >= self.most_usd

    @property
    def is_high(self) -> bool:
        """Whether operators are to be told."""
        return self.warn_usd is not None and self.spent_usd > self.warn_usd


@dataclass(frozen=True, slots=True)
class FleetSnapshot:
    """Every site, and the totals of this router."""

    sites: tuple[SiteSnapshot, ...]
    sessions: int
    open_streams: int
    decided: int  # see Totals
    refused: int
    retried: int
    resumed: int
    tenants: tuple[TenantSnapshot, ...]
    quarantined: tuple[QuarantinedSnapshot, ...]
    shared: SharedSnapshot | None = None  # with other routers
    leases: LeaseTotals = field(default_factory=LeaseTotals)
    budgets: tuple[BudgetSnapshot, ...] = ()
    rollouts: tuple[RolloutSnapshot, ...] = ()
    stood_in: tuple[tuple[str, str, int], ...] = ()  # asked model, stand-in, turns


def snapshot_fleet(
    registry: Registry,
    sessions: Sessions,
    totals: Totals,
    limits: Limits,
    now: int,
    *,
    open_streams: int,
    tenants: tuple[TenantSnapshot, ...],
    quarantine: Quarantine,
    shared: SharedSnapshot | None,
    leases: LeaseTotals,
    models: AskedModels,
) -> FleetSnapshot:
    """The state of all."""
    return FleetSnapshot(
        sites=snapshot_sites(registry, sessions, now),
        sessions=len(sessions),
        open_streams=open_streams,
        decided=totals.decided,
        refused=totals.refused,
        retried=totals.retried,
        resumed=totals.resumed,
        tenants=tenants,
        quarantined=snapshot_quarantine(quarantine, limits, now),
        shared=shared,
        leases=replace(leases),
        budgets=_snapshot_budgets(registry),
        rollouts=models.rollouts.snapshot(now),
        stood_in=tuple((*names, turns) for names, turns in models.stood_in.items()),
    )


def _snapshot_budgets(registry: Registry) -> tuple[BudgetSnapshot, ...]:
    """Those that there are: of sites, then of tenants."""
    caps = [(name, "", site.spend.cap) for name, site in registry.sites.items()]
    caps += [("", purse.tenant, purse.cap) for purse in registry.purses]
    return tuple(
        BudgetSnapshot(site, tenant, cap.month, cap.spent_usd, cap.most_usd, cap.warn_usd)
        for site, tenant, cap in caps
        if cap.most_usd is not None or cap.warn_usd is not None
    )


def snapshot_sites(registry: Registry, sessions: Sessions, now: int) -> tuple[SiteSnapshot, ...]:
    """The state of every site."""
    endpoints: dict[str, list[Tracked]] = {name: [] for name in registry.sites}
    for tracked in registry.by_name.values():
        endpoints[tracked.endpoint.site].append(tracked)
    return tuple(
        _snapshot_site(site, endpoints[name], sessions, now)
        for name, site in registry.sites.items()
    )


def _snapshot_site(
    site: SiteState, endpoints: Sequence[Tracked], sessions: Sessions, now: int
) -> SiteSnapshot:
    states = tuple(_snapshot_endpoint(tracked, now) for tracked in endpoints)
    return SiteSnapshot(
        name=site.site.name,
        kind=site.site.kind,
        draining=site.draining,
        leaving=site.leaving,
        endpoints=states,
        sessions=sum(sessions.placed_at(state.name) for state in states),
        open_streams=sum(state.in_flight for state in states),
        turns=site.turns,
        output_tokens=site.output_tokens,
        failures=site.failures,
        trouble=trouble_of(endpoints),
        overflow_turns=site.overflow_turns,
        spend_usd=site.spend.spent_usd(now),
        drained=site.drained,
        warming_share=site.warming.share,
        lease_until_unix_ns=site.site.lease_until_unix_ns,
    )


def snapshot_quarantine(
    quarantine: Quarantine, limits: Limits, now: int
) -> tuple[QuarantinedSnapshot, ...]:
    """The prompts that are kept away."""
    return tuple(
        QuarantinedSnapshot(
            fingerprint=one.fingerprint,
            model=one.model,
            tenant=one.tenant,
            prompt_tokens=one.prompt_tokens,
            endpoints=tuple(loss.endpoint for loss in one.losses),
            age_ns=now - since_ns,
            left_ns=max(0, since_ns + limits.quarantine_ns - now),
            refused=one.refused,
        )
        for one in quarantine.quarantined()
        if (since_ns := one.quarantined_ns) is not None
    )


def _snapshot_endpoint(tracked: Tracked, now: int) -> EndpointSnapshot:
    heard = tracked.occupancy.report
    report = heard or LoadReport(tracked.name, instance="", sequence=0)
    return EndpointSnapshot(
        name=tracked.name,
        site=tracked.site.site.name,
        model=tracked.endpoint.model,
        instance=report.instance,
        health=_health(tracked, now),
        draining=tracked.is_draining,
        in_flight=tracked.in_flight,
        running=report.running,
        waiting=report.waiting,
        queued_prefill_tokens=report.queued_prefill_tokens,
        kv_usage=report.kv_usage,
        ttft_ns=report.ttft_ns,
        itl_ns=report.itl_ns,
        rtt_ns=tracked.round_trip.mean_ns,
        report_age_ns=now - tracked.occupancy.heard_ns if heard else None,
        gateway=tracked.gateway,
        lent=tracked.name in tracked.site.lent,
        adapters_loaded=report.adapters.loaded if report.adapters is not None else (),
    )


def _health(tracked: Tracked, now: int) -> Health:
    if tracked.gone or not tracked.connected or tracked.breaker.is_open(now):
        return Health.DOWN
    if tracked.gateway is not None and tracked.gateway.excluded:
        return Health.DOWN
    return Health.UP if tracked.breaker.is_closed else Health.SUSPECT
