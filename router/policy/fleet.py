"""What the core knows of the fleet: sites, service classes and the limits that bound its state.

These are values that every router of a fleet shares. They come from the fleet file; nothing here is
learned.
"""

from dataclasses import dataclass
from enum import Enum

from router.policy.lending import RECLAIM, Lending, Reclaim
from router.policy.rollout import Rollout
from router.policy.scale import AUTOSCALING, Autoscaling, Scale
from router.policy.units import NS_PER_MS, NS_PER_S


class SiteKind(Enum):
    """Whether a site is sunk cost (home) or rented."""

    HOME = "home"
    RENTED = "rented"


@dataclass(frozen=True, slots=True)
class Price:
    """What a site's capacity costs, in US dollars.

    A committed replica costs the same used or not, so at the margin it is free; a metered one is
    paid by the hour in which it works.
    """

    committed_replicas: int = 0
    metered_usd_per_replica_hour: float = 0.0
    egress_usd_per_gib: float = 0.0
    budget_usd_per_hour: float | None = None
    budget_usd_per_month: float | None = None
    calendar_usd_per_month: float | None = None  # of all on one ledger; None: the budget above
    warn_usd_per_month: float | None = None  # above which operators are told, and nothing stops
    committed_usd_per_replica_hour: float = 0.0  # for the ledger alone: it weighs in no decision


@dataclass(frozen=True, slots=True)
class LatencyProfile:
    """How soon a site answers, measured before it had any traffic; without the way there."""

    ttft_ns: int  # to the first token of a short prompt, with nothing beside it
    itl_ns: int  # between two tokens of a stream alone
    ttft_ns_per_prompt_token: int = 0
    itl_ns_per_stream: int = 0  # longer for each stream beside


@dataclass(frozen=True, slots=True)
class Site:
    """One cluster, or another router, where sessions can be placed."""

    name: str
    kind: SiteKind
    region: str = ""
    price: Price = Price()
    lending: Lending | None = None  # when some of its replicas are given to other work
    lease_until_unix_ns: int | None = None  # when the site is gone, by the wall clock
    hardware: str = ""  # the class of its GPUs, for the ledger
    gpus: int = 1  # of each replica
    profile: LatencyProfile | None = None  # what is believed of it before anything is learned
    scale: Scale | None = None  # how far it grows and shrinks by itself
    reclaim: Reclaim = RECLAIM  # what is lent


@dataclass(frozen=True, slots=True)
class SloClass:
    """The objectives of a class of requests.

    TTFT may take `ttft_ns + ttft_ns_per_prompt_token * prompt tokens`; the p95 of the gaps between
    tokens may be `itl_ns`. `confidence` is the share of requests that should meet them, and so the
    probability with which home must be predicted to meet before a session stays there.
    """

    name: str
    ttft_ns: int
    itl_ns: int
    ttft_ns_per_prompt_token: int = 0
    confidence: float = 0.9
    home_only: bool = False
    hedge_share: float = 0.0  # of the requests that may be sent to a second site; see hedge
    hedge_usd_per_hour: float = 0.0  # that hedges may cost on metered capacity
    priority: int = 1  # 1 goes first under overload; each level has an eighth of the one before
    stand_in: str = ""  # a model that may answer where the asked one has no time or money to

    def ttft_objective_ns(self, prompt_tokens: int) -> int:
        """The time to first token that a prompt of this length is allowed."""
        return self.ttft_ns + self.ttft_ns_per_prompt_token * prompt_tokens


@dataclass(frozen=True, slots=True)
class Tenant:
    """Somebody whose requests share the capacity with others' in the ratio of the weights.

    The bounds on its rates are each router's own, or all routers' together where the fleet shares:
    tokens of prompts and answers, together and apart, and requests, with a quarter of a minute's at
    once. So is the bound on open streams, of which each router that shares has an equal part. What
    may be asked for is anything, where nothing is listed.
    """

    name: str
    weight: int = 1
    tokens_per_minute: int | None = None
    requests_per_minute: int | None = None
    prompt_tokens_per_minute: int | None = None
    output_tokens_per_minute: int | None = None
    streams_max: int | None = None  # answers under way at a time, whole ones too
    models: tuple[str, ...] | None = None
    adapters: tuple[str, ...] | None = None
    slo_classes: tuple[str, ...] | None = None
    home_only: bool = False  # its data may not leave home, whatever class it asks for
    shares_cache: bool = False  # cached prefixes with the other tenants that do
    priority_ceiling: int | None = None  # the best, that is lowest, its requests may have
    budget_usd_per_month: float | None = None  # of metered capacity and egress, by the calendar
    warn_usd_per_month: float | None = None  # above which operators are told, and nothing stops


DEFAULT_TENANT = "default"
"""Whose the requests are that name no tenant, or one that the fleet does not have."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds and time constants of the core. Each default has its reason beside it."""

    sessions_max: int = 100_000  # about 200 MB at the 2 KB a session may cost
    session_age_max_ns: int = 1_800 * NS_PER_S  # a cache that old is long evicted
    prefix_blocks_max: int = 65_536  # per endpoint: a million tokens of 16-token blocks
    told_prefix_marks_max: int = 8_192  # that a router above is told of: 64 KB at first
    attempts_max: int = 3  # endpoints tried for one request before its error is the client's
    retry_ratio: float = 0.2  # retries may add a fifth to the load, never multiply it
    retry_burst: int = 10  # so that a quiet router may retry at all
    resume_same_numerics: bool = False  # whether streams go on only where they stay the very same
    resumes_max: int = 8  # of one stream: beyond it, what breaks it is not the endpoints
    resume_burst: int = 20_000  # as many as a router has streams: a dead site breaks all its own
    suspects_max: int = 20_000  # prompts in flight at a crash; as many as a router has streams
    quarantine_ns: int = 600 * NS_PER_S  # a prompt that crashes engines is kept away for that long
    breaker_failures: int = 3  # consecutive failures that open an endpoint's breaker
    breaker_open_ns: int = 1 * NS_PER_S  # first pause; doubles up to the next line
    breaker_open_max_ns: int = 30 * NS_PER_S
    warming_share: float = 0.05  # of all turns, that a new site may have at first
    warming_answers: int = 4  # that came well, in a row, double it: 20 until it is warm
    site_lease_margin_ns: int = 60 * NS_PER_S  # for turns that cannot go on elsewhere to end
    report_fresh_ns: int = 1 * NS_PER_S  # a report older than this starts to lose weight
    report_stale_ns: int = 10 * NS_PER_S  # at this age it weighs nothing
    spill_back_margin: float = 0.7  # home must look this much better than its objective
    spill_back_dwell_ns: int = 3 * NS_PER_S  # and for this long, before sessions return
    home_reserve: float = 0.3  # of the objective, held back under pressure for warm sessions
    hot_prefix_share: float = 0.5  # a prefix in so many of the requests carries no weight
    queue_horizon_ns: int = 30 * NS_PER_S  # an endpoint predicted later than this is full
    endpoint_queue_share: float = 0.25  # of the tightest objective, queued at an endpoint
    endpoint_itl_share: float = 0.8  # of the p95 objective, that the mean may reach at most
    lease_life_ns: int = 5 * NS_PER_S  # for a client to connect to where its request is placed
    queue_max: int = 10_000  # requests that wait in the router: 2 KB each, and the call's own
    patience_ns: int = 5 * NS_PER_S  # overload shorter than this is waited out, not refused
    retry_after_min_ns: int = 100 * NS_PER_MS
    retry_after_max_ns: int = 10 * NS_PER_S


@dataclass(frozen=True, slots=True)
class Fleet:
    """Everything the core is told before the first request."""

    sites: tuple[Site, ...]
    slo_classes: tuple[SloClass, ...]
    default_slo: str
    limits: Limits = Limits()
    tenants: tuple[Tenant, ...] = ()
    rollouts: tuple[Rollout, ...] = ()  # models that are served by versions of them
    autoscaling: Autoscaling = AUTOSCALING
    shares: bool = False  # whether several routers spend budgets and rates together, by a store

    @property
    def endpoint_queue_ns(self) -> int:
        """The most that may wait at an endpoint that still has room."""
        tightest_ns = min(slo.ttft_ns for slo in self.slo_classes)
        return int(self.limits.endpoint_queue_share * tightest_ns)

    @property
    def slo_names(self) -> tuple[str, ...]:
        """The names of the classes."""
        return tuple(slo.name for slo in self.slo_classes)

    def site(self, name: str) -> Site:
        """The site of this name; KeyError where there is none."""
        for site in self.sites:
            if site.name == name:
                return site
        raise KeyError(name)

    def slo(self, name: str) -> SloClass:
        """The class of this name, the default class for an empty one; KeyError otherwise."""
        wanted = name or self.default_slo
        for slo in self.slo_classes:
            if slo.name == wanted:
                return slo
        raise KeyError(wanted)
