"""What one router process is told: how to reach the sites, and where it listens and writes.

These belong to one process; what every router of a fleet shares is `router.policy.fleet`.
"""

from dataclasses import dataclass, field
from pathlib import Path

from wire.logs.lines import LogFormat
from wire.tls.plaintext import Accepted
from wire.tracing.settings import TracingSettings


@dataclass(frozen=True, slots=True)
class SiteTls:
    """Whose certificate the endpoints of a site show, and of which authority it is."""

    identity: str  # a DNS name in the certificate
    authority: Path | None = None  # None: the router's own


@dataclass(frozen=True, slots=True)
class SiteAccess:
    """How to reach one site. At least one of the two ways is given.

    `dashboard_url` is the Ray dashboard whose REST answer lists the replicas' gRPC targets;
    `endpoints` are gRPC addresses (host:port) of servers of vllm.Inference listed by hand.
    `host` replaces the address that Ray reports for its nodes, where that one cannot be reached
    from here (a tunnel, or a cluster that was started on the loopback interface). `link` says
    whether endpoints that offer a link are reached over it.
    Without `tls`, endpoints are reached in plaintext: on the loopback interface, and elsewhere only
    where `plaintext` says so.
    """

    site: str
    dashboard_url: str | None = None
    application: str | None = None  # the Serve application; None: every application with gRPC
    host: str | None = None
    endpoints: tuple[str, ...] = ()
    link: bool = True
    door: str | None = None  # where clients elsewhere find all of its endpoints; None: at each
    direct: bool = True  # whether clients that ask may stream from its endpoints themselves
    tls: SiteTls | None = None
    plaintext: Accepted | None = None


@dataclass(frozen=True, slots=True)
class Worker:
    """One of several router processes that share a port, and one receiver of reports."""

    number: int
    receiver: str  # where gRPC finds it: a Unix socket


@dataclass(frozen=True, slots=True)
class DecisionLog:
    """Where decisions are written, as JSON lines. None for `path` writes none."""

    path: Path | None = None
    bytes_max: int = 64 * 1024 * 1024  # per file; it is rotated then
    files_max: int = 4


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """Where operators' actions are written, as a chain of JSON lines. None for `path`: nowhere."""

    path: Path | None = None
    bytes_max: int = 16 * 1024 * 1024  # per file: some 30,000 records; full ones stay beside it
    files_max: int = 64  # full ones, 1 GiB; the oldest is removed then, if it is old enough:
    kept_s: float = 30 * 86_400.0  # else no action is taken until there is room
    secret_file: Path | None = None  # seals records, so that nobody else can make them


@dataclass(frozen=True, slots=True)
class LogSettings:
    """The log of a router. None for `format` has it as Python does, and nothing of requests."""

    format: LogFormat | None = None  # of its lines, of which each request is one when it ends
    prompts: bool = False  # whether that line has the prompt


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """A Valkey or Redis server that the routers of a fleet share; none where `url` is None.

    `name` is the fleet's: routers that share spend together, and one server may have several.
    """

    url: str | None = None
    name: str = "spillway"
    password_file: Path | None = None
    interval_s: float = 0.25  # between two top-ups
    timeout_s: float = 1.0  # of one; nothing waits for it but the next


@dataclass(frozen=True, slots=True)
class LedgerSettings:
    """Where is kept what attempts cost; nowhere where neither `path` nor `url` is given."""

    path: Path | None = None  # a file of SQLite's
    url: str | None = None  # of a database of PostgreSQL's, which several routers may share
    password_file: Path | None = None  # of that; None: as libpq finds it, as in PGPASSWORD
    commit_s: float = 0.1  # after which what an attempt cost is in the ledger
    attempts_kept_s: float = 30 * 86_400.0  # single attempts; their sums by day stay
    attempts_max: int = 2_000_000  # some 700 MB
    days_kept_s: float = 400 * 86_400.0


@dataclass(frozen=True, slots=True)
class TokenSettings:
    """The identity provider whose tokens (JWT) prove tenants; none where `issuer` is None."""

    issuer: str | None = None
    audience: str | None = None  # what a token has to be made out to
    jwks_url: str | None = None  # where the provider's public keys are; None: as the issuer says
    tenant_claim: str = "tenant"  # the claim that names the tenant
    algorithms: tuple[str, ...] = ("RS256", "ES256")  # whatever a token says
    leeway_s: float = 30.0  # by which the provider's clock may be off
    refresh_s: float = 300.0  # between two readings of the keys


@dataclass(frozen=True, slots=True)
class Authentication:
    """Who may come in. On loopback, where no keys are named, anybody may."""

    keys_file: Path | None = None  # see router.live.key_file
    tokens: TokenSettings = field(default_factory=TokenSettings)
    anonymous: bool = False  # whoever reaches a listener may ask, wherever they are


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """Who this router is, and who may come to it. Without a certificate it listens in plaintext.

    Files are looked at with each new connection, so that they can be replaced at any time.
    """

    certificate: Path | None = None  # in PEM, with those between it and its authority
    key: Path | None = None
    authority: Path | None = None  # of the routers above and of the sites, in PEM
    accept: tuple[str, ...] = ()  # the identities that may come; (): all, without a certificate
    operators: tuple[str, ...] = ()  # those of them that may act where no keys say who; (): all


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What whoever connects may hold, whether they have a key or not. Each is of one listener."""

    max: int = 20_000  # a file descriptor and 20 to 60 KB each; one for each stream that there is
    of_address_max: int = 5_000  # of HTTP, of one address: a proxy of all clients has some hundred
    streams_max: int = 20_000  # calls of one connection: a router above has all of its own on one
    watches_max: int = 1_000  # of health, which anybody may watch, and of the fleet: a timer each
    handshake_timeout_s: float = 10.0  # a phone in a tunnel takes two or three
    idle_timeout_s: float = 600.0  # of gRPC, without a call: longer than a person thinks
    http_idle_timeout_s: float = (
        75.0  # of HTTP, without a whole request: longer than proxies keep it
    )


@dataclass(frozen=True, slots=True)
class RouterSettings:
    """The settings of one router process. Each bound has its reason beside it."""

    listen: str = "127.0.0.1:7070"
    metrics_listen: str | None = "127.0.0.1:7071"  # Prometheus metrics over HTTP; None: none
    openai_listen: str | None = None  # OpenAI's API over HTTP; None: none
    health_listen: str | None = None  # for a kubelet, in plaintext, with nothing else; None: none
    decision_log: DecisionLog = field(default_factory=DecisionLog)
    audit: AuditSettings = field(default_factory=AuditSettings)
    store: StoreSettings = field(default_factory=StoreSettings)
    log: LogSettings = field(default_factory=LogSettings)
    tracing: TracingSettings = field(default_factory=TracingSettings)
    ledger: LedgerSettings = field(default_factory=LedgerSettings)
    authentication: Authentication = field(default_factory=Authentication)
    tls: TlsSettings = field(default_factory=TlsSettings)
    plaintext: Accepted | None = None  # whether it may listen for others without TLS
    connections: ConnectionLimits = field(default_factory=ConnectionLimits)
    hosts: tuple[str, ...] = ()  # names of this machine, beside its own; see router.live.hosts
    discovery_interval_s: float = 1.0  # a new replica is used within two seconds of being listed
    discovery_timeout_s: float = 5.0
    rtt_interval_s: float = 2.0
    load_silence_max_s: float = 0.5  # asked of every endpoint; half the age at which it matters
    message_bytes_max: int = 16 * 1024 * 1024  # a prompt of four million tokens' text
    requests_bytes_max: int = 1024 * 1024 * 1024  # of open calls: gRPC keeps each until it ends
    streams_max: int = 20_000  # 10 to 40 KB each
    resume_stream_bytes_max: int = 1024 * 1024  # some 20,000 tokens that one stream has delivered
    resume_bytes_max: int = 1024 * 1024 * 1024  # 400 tokens of each of 20,000 streams, thrice
    resume_wait_s: float = 10.0  # for an endpoint that goes on with a stream which none could
    coalesce_hold_s: float | None = 0.01  # of writes to a client that is behind; None: each alone
    drain_timeout_s: float = 30.0  # what streams get to end, here at SIGTERM and where one drains
    scaling_file: Path | None = None  # what is learned of demand is kept there; None: nowhere
    lease_key_file: Path | None = None  # None: as the environment says, and else none
    default_deadline_s: float = 600.0  # for a client that set none
