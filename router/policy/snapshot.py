"""The state of the fleet as frozen values: what Fleet.Watch, the metrics and `status` show."""

from dataclasses import dataclass
from enum import Enum

from router.policy.fleet import SiteKind


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


@dataclass(frozen=True, slots=True)
class SiteSnapshot:
    """One site and what this router did with it since it started."""

    name: str
    kind: SiteKind
    draining: bool
    endpoints: tuple[EndpointSnapshot, ...]
    sessions: int  # placed at the site
    open_streams: int
    turns: int  # requests sent, retries included
    output_tokens: int
    failures: int
    overflow_turns: int  # turns that came here because home was predicted to miss
    spend_usd: float  # on metered capacity and egress


@dataclass(frozen=True, slots=True)
class FleetSnapshot:
    """Every site, and the totals of this router."""

    sites: tuple[SiteSnapshot, ...]
    sessions: int
    open_streams: int
    decided: int  # requests decided, whatever became of them
    refused: int
    retried: int
