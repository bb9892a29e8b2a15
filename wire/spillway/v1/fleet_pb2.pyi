from wire.vllm import inference_pb2 as _inference_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ExplainRequest(_message.Message):
    __slots__ = ("request",)
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    request: _inference_pb2.GenerateRequest
    def __init__(self, request: _Optional[_Union[_inference_pb2.GenerateRequest, _Mapping]] = ...) -> None: ...

class Decision(_message.Message):
    __slots__ = ("action", "site", "endpoint", "rule", "reason", "candidates", "retry_after_s", "session", "slo", "wait_s", "model")
    class Action(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        ACTION_UNSPECIFIED: _ClassVar[Decision.Action]
        SEND: _ClassVar[Decision.Action]
        REFUSE: _ClassVar[Decision.Action]
        WAIT: _ClassVar[Decision.Action]
    ACTION_UNSPECIFIED: Decision.Action
    SEND: Decision.Action
    REFUSE: Decision.Action
    WAIT: Decision.Action
    ACTION_FIELD_NUMBER: _ClassVar[int]
    SITE_FIELD_NUMBER: _ClassVar[int]
    ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_S_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    SLO_FIELD_NUMBER: _ClassVar[int]
    WAIT_S_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    action: Decision.Action
    site: str
    endpoint: str
    rule: str
    reason: str
    candidates: _containers.RepeatedCompositeFieldContainer[Candidate]
    retry_after_s: float
    session: str
    slo: str
    wait_s: float
    model: str
    def __init__(self, action: _Optional[_Union[Decision.Action, str]] = ..., site: _Optional[str] = ..., endpoint: _Optional[str] = ..., rule: _Optional[str] = ..., reason: _Optional[str] = ..., candidates: _Optional[_Iterable[_Union[Candidate, _Mapping]]] = ..., retry_after_s: _Optional[float] = ..., session: _Optional[str] = ..., slo: _Optional[str] = ..., wait_s: _Optional[float] = ..., model: _Optional[str] = ...) -> None: ...

class Candidate(_message.Message):
    __slots__ = ("site", "endpoint", "ttft_s", "network_s", "queue_s", "prefill_s", "uncached_tokens", "cached_tokens", "price_usd", "meets_objective", "excluded", "report_age_s", "adapter_s")
    SITE_FIELD_NUMBER: _ClassVar[int]
    ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    TTFT_S_FIELD_NUMBER: _ClassVar[int]
    NETWORK_S_FIELD_NUMBER: _ClassVar[int]
    QUEUE_S_FIELD_NUMBER: _ClassVar[int]
    PREFILL_S_FIELD_NUMBER: _ClassVar[int]
    UNCACHED_TOKENS_FIELD_NUMBER: _ClassVar[int]
    CACHED_TOKENS_FIELD_NUMBER: _ClassVar[int]
    PRICE_USD_FIELD_NUMBER: _ClassVar[int]
    MEETS_OBJECTIVE_FIELD_NUMBER: _ClassVar[int]
    EXCLUDED_FIELD_NUMBER: _ClassVar[int]
    REPORT_AGE_S_FIELD_NUMBER: _ClassVar[int]
    ADAPTER_S_FIELD_NUMBER: _ClassVar[int]
    site: str
    endpoint: str
    ttft_s: float
    network_s: float
    queue_s: float
    prefill_s: float
    uncached_tokens: int
    cached_tokens: int
    price_usd: float
    meets_objective: bool
    excluded: str
    report_age_s: float
    adapter_s: float
    def __init__(self, site: _Optional[str] = ..., endpoint: _Optional[str] = ..., ttft_s: _Optional[float] = ..., network_s: _Optional[float] = ..., queue_s: _Optional[float] = ..., prefill_s: _Optional[float] = ..., uncached_tokens: _Optional[int] = ..., cached_tokens: _Optional[int] = ..., price_usd: _Optional[float] = ..., meets_objective: _Optional[bool] = ..., excluded: _Optional[str] = ..., report_age_s: _Optional[float] = ..., adapter_s: _Optional[float] = ...) -> None: ...

class PlaceRequest(_message.Message):
    __slots__ = ("request", "deadline_s")
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_S_FIELD_NUMBER: _ClassVar[int]
    request: _inference_pb2.GenerateRequest
    deadline_s: float
    def __init__(self, request: _Optional[_Union[_inference_pb2.GenerateRequest, _Mapping]] = ..., deadline_s: _Optional[float] = ...) -> None: ...

class Placement(_message.Message):
    __slots__ = ("address", "through_router", "lease", "request_id", "life_s", "site", "endpoint", "identity", "first_token_s", "silence_s", "cookie", "authority")
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    THROUGH_ROUTER_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    LIFE_S_FIELD_NUMBER: _ClassVar[int]
    SITE_FIELD_NUMBER: _ClassVar[int]
    ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    FIRST_TOKEN_S_FIELD_NUMBER: _ClassVar[int]
    SILENCE_S_FIELD_NUMBER: _ClassVar[int]
    COOKIE_FIELD_NUMBER: _ClassVar[int]
    AUTHORITY_FIELD_NUMBER: _ClassVar[int]
    address: str
    through_router: str
    lease: str
    request_id: str
    life_s: float
    site: str
    endpoint: str
    identity: str
    first_token_s: float
    silence_s: float
    cookie: str
    authority: str
    def __init__(self, address: _Optional[str] = ..., through_router: _Optional[str] = ..., lease: _Optional[str] = ..., request_id: _Optional[str] = ..., life_s: _Optional[float] = ..., site: _Optional[str] = ..., endpoint: _Optional[str] = ..., identity: _Optional[str] = ..., first_token_s: _Optional[float] = ..., silence_s: _Optional[float] = ..., cookie: _Optional[str] = ..., authority: _Optional[str] = ...) -> None: ...

class ReportRequest(_message.Message):
    __slots__ = ("claims",)
    CLAIMS_FIELD_NUMBER: _ClassVar[int]
    claims: _containers.RepeatedCompositeFieldContainer[LeaseClaim]
    def __init__(self, claims: _Optional[_Iterable[_Union[LeaseClaim, _Mapping]]] = ...) -> None: ...

class ReportResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class LeaseClaim(_message.Message):
    __slots__ = ("lease", "end", "messages", "output_tokens", "ttft_s", "duration_s")
    class End(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        END_UNSPECIFIED: _ClassVar[LeaseClaim.End]
        COMPLETE: _ClassVar[LeaseClaim.End]
        CANCELLED: _ClassVar[LeaseClaim.End]
        UNREACHABLE: _ClassVar[LeaseClaim.End]
        REFUSED: _ClassVar[LeaseClaim.End]
        BROKE_OFF: _ClassVar[LeaseClaim.End]
    END_UNSPECIFIED: LeaseClaim.End
    COMPLETE: LeaseClaim.End
    CANCELLED: LeaseClaim.End
    UNREACHABLE: LeaseClaim.End
    REFUSED: LeaseClaim.End
    BROKE_OFF: LeaseClaim.End
    LEASE_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    TTFT_S_FIELD_NUMBER: _ClassVar[int]
    DURATION_S_FIELD_NUMBER: _ClassVar[int]
    lease: str
    end: LeaseClaim.End
    messages: int
    output_tokens: int
    ttft_s: float
    duration_s: float
    def __init__(self, lease: _Optional[str] = ..., end: _Optional[_Union[LeaseClaim.End, str]] = ..., messages: _Optional[int] = ..., output_tokens: _Optional[int] = ..., ttft_s: _Optional[float] = ..., duration_s: _Optional[float] = ...) -> None: ...

class WatchFleetRequest(_message.Message):
    __slots__ = ("interval_ms",)
    INTERVAL_MS_FIELD_NUMBER: _ClassVar[int]
    interval_ms: int
    def __init__(self, interval_ms: _Optional[int] = ...) -> None: ...

class FleetState(_message.Message):
    __slots__ = ("router_id", "sampled_unix_ns", "sites", "sessions", "open_streams", "refused", "resumed", "tenants", "store", "budgets", "fleet_digest", "fleet_read_unix_ns", "reload_problem", "audit_head", "audit_problem", "rollouts", "stood_in")
    ROUTER_ID_FIELD_NUMBER: _ClassVar[int]
    SAMPLED_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    SITES_FIELD_NUMBER: _ClassVar[int]
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    OPEN_STREAMS_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    RESUMED_FIELD_NUMBER: _ClassVar[int]
    TENANTS_FIELD_NUMBER: _ClassVar[int]
    STORE_FIELD_NUMBER: _ClassVar[int]
    BUDGETS_FIELD_NUMBER: _ClassVar[int]
    FLEET_DIGEST_FIELD_NUMBER: _ClassVar[int]
    FLEET_READ_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    RELOAD_PROBLEM_FIELD_NUMBER: _ClassVar[int]
    AUDIT_HEAD_FIELD_NUMBER: _ClassVar[int]
    AUDIT_PROBLEM_FIELD_NUMBER: _ClassVar[int]
    ROLLOUTS_FIELD_NUMBER: _ClassVar[int]
    STOOD_IN_FIELD_NUMBER: _ClassVar[int]
    router_id: str
    sampled_unix_ns: int
    sites: _containers.RepeatedCompositeFieldContainer[SiteState]
    sessions: int
    open_streams: int
    refused: int
    resumed: int
    tenants: _containers.RepeatedCompositeFieldContainer[TenantState]
    store: SharedState
    budgets: _containers.RepeatedCompositeFieldContainer[BudgetState]
    fleet_digest: str
    fleet_read_unix_ns: int
    reload_problem: str
    audit_head: str
    audit_problem: str
    rollouts: _containers.RepeatedCompositeFieldContainer[RolloutState]
    stood_in: _containers.RepeatedCompositeFieldContainer[StoodIn]
    def __init__(self, router_id: _Optional[str] = ..., sampled_unix_ns: _Optional[int] = ..., sites: _Optional[_Iterable[_Union[SiteState, _Mapping]]] = ..., sessions: _Optional[int] = ..., open_streams: _Optional[int] = ..., refused: _Optional[int] = ..., resumed: _Optional[int] = ..., tenants: _Optional[_Iterable[_Union[TenantState, _Mapping]]] = ..., store: _Optional[_Union[SharedState, _Mapping]] = ..., budgets: _Optional[_Iterable[_Union[BudgetState, _Mapping]]] = ..., fleet_digest: _Optional[str] = ..., fleet_read_unix_ns: _Optional[int] = ..., reload_problem: _Optional[str] = ..., audit_head: _Optional[str] = ..., audit_problem: _Optional[str] = ..., rollouts: _Optional[_Iterable[_Union[RolloutState, _Mapping]]] = ..., stood_in: _Optional[_Iterable[_Union[StoodIn, _Mapping]]] = ...) -> None: ...

class RolloutState(_message.Message):
    __slots__ = ("name", "share", "standing", "new", "returned", "returned_age_s", "said")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    STANDING_FIELD_NUMBER: _ClassVar[int]
    NEW_FIELD_NUMBER: _ClassVar[int]
    RETURNED_FIELD_NUMBER: _ClassVar[int]
    RETURNED_AGE_S_FIELD_NUMBER: _ClassVar[int]
    SAID_FIELD_NUMBER: _ClassVar[int]
    name: str
    share: float
    standing: VersionState
    new: VersionState
    returned: str
    returned_age_s: float
    said: str
    def __init__(self, name: _Optional[str] = ..., share: _Optional[float] = ..., standing: _Optional[_Union[VersionState, _Mapping]] = ..., new: _Optional[_Union[VersionState, _Mapping]] = ..., returned: _Optional[str] = ..., returned_age_s: _Optional[float] = ..., said: _Optional[str] = ...) -> None: ...

class VersionState(_message.Message):
    __slots__ = ("model", "answers", "failed", "first_tokens", "late", "streams", "slow")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    ANSWERS_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    FIRST_TOKENS_FIELD_NUMBER: _ClassVar[int]
    LATE_FIELD_NUMBER: _ClassVar[int]
    STREAMS_FIELD_NUMBER: _ClassVar[int]
    SLOW_FIELD_NUMBER: _ClassVar[int]
    model: str
    answers: int
    failed: int
    first_tokens: int
    late: int
    streams: int
    slow: int
    def __init__(self, model: _Optional[str] = ..., answers: _Optional[int] = ..., failed: _Optional[int] = ..., first_tokens: _Optional[int] = ..., late: _Optional[int] = ..., streams: _Optional[int] = ..., slow: _Optional[int] = ...) -> None: ...

class StoodIn(_message.Message):
    __slots__ = ("model", "stand_in", "turns")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    STAND_IN_FIELD_NUMBER: _ClassVar[int]
    TURNS_FIELD_NUMBER: _ClassVar[int]
    model: str
    stand_in: str
    turns: int
    def __init__(self, model: _Optional[str] = ..., stand_in: _Optional[str] = ..., turns: _Optional[int] = ...) -> None: ...

class ReturnRolloutRequest(_message.Message):
    __slots__ = ("model", "why")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    model: str
    why: str
    def __init__(self, model: _Optional[str] = ..., why: _Optional[str] = ...) -> None: ...

class ResumeRolloutRequest(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: str
    def __init__(self, model: _Optional[str] = ...) -> None: ...

class BudgetState(_message.Message):
    __slots__ = ("site", "tenant", "month", "spent_usd", "most_usd", "warn_usd")
    SITE_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    MONTH_FIELD_NUMBER: _ClassVar[int]
    SPENT_USD_FIELD_NUMBER: _ClassVar[int]
    MOST_USD_FIELD_NUMBER: _ClassVar[int]
    WARN_USD_FIELD_NUMBER: _ClassVar[int]
    site: str
    tenant: str
    month: int
    spent_usd: float
    most_usd: float
    warn_usd: float
    def __init__(self, site: _Optional[str] = ..., tenant: _Optional[str] = ..., month: _Optional[int] = ..., spent_usd: _Optional[float] = ..., most_usd: _Optional[float] = ..., warn_usd: _Optional[float] = ...) -> None: ...

class SharedState(_message.Message):
    __slots__ = ("away", "routers", "held")
    AWAY_FIELD_NUMBER: _ClassVar[int]
    ROUTERS_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    away: bool
    routers: int
    held: _containers.RepeatedCompositeFieldContainer[Held]
    def __init__(self, away: _Optional[bool] = ..., routers: _Optional[int] = ..., held: _Optional[_Iterable[_Union[Held, _Mapping]]] = ...) -> None: ...

class Held(_message.Message):
    __slots__ = ("bucket", "amount")
    BUCKET_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    bucket: str
    amount: float
    def __init__(self, bucket: _Optional[str] = ..., amount: _Optional[float] = ...) -> None: ...

class TenantState(_message.Message):
    __slots__ = ("name", "weight", "waiting", "admitted", "refused", "work_tokens")
    NAME_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    ADMITTED_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    WORK_TOKENS_FIELD_NUMBER: _ClassVar[int]
    name: str
    weight: int
    waiting: int
    admitted: int
    refused: int
    work_tokens: float
    def __init__(self, name: _Optional[str] = ..., weight: _Optional[int] = ..., waiting: _Optional[int] = ..., admitted: _Optional[int] = ..., refused: _Optional[int] = ..., work_tokens: _Optional[float] = ...) -> None: ...

class SiteState(_message.Message):
    __slots__ = ("name", "kind", "draining", "endpoints", "sessions", "open_streams", "turns", "tokens", "failures", "cost_usd", "prefix_hit_tokens", "prefix_query_tokens", "ttft_s_p50", "ttft_s_p99", "itl_s_p50", "itl_s_p99", "overflow_turns", "trouble", "lent", "warming_share", "lease_until_unix_ns", "leaving", "scaling")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[SiteState.Kind]
        HOME: _ClassVar[SiteState.Kind]
        RENTED: _ClassVar[SiteState.Kind]
    KIND_UNSPECIFIED: SiteState.Kind
    HOME: SiteState.Kind
    RENTED: SiteState.Kind
    class Trouble(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        TROUBLE_NONE: _ClassVar[SiteState.Trouble]
        ENDPOINTS: _ClassVar[SiteState.Trouble]
        LINK: _ClassVar[SiteState.Trouble]
        SITE: _ClassVar[SiteState.Trouble]
    TROUBLE_NONE: SiteState.Trouble
    ENDPOINTS: SiteState.Trouble
    LINK: SiteState.Trouble
    SITE: SiteState.Trouble
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    DRAINING_FIELD_NUMBER: _ClassVar[int]
    ENDPOINTS_FIELD_NUMBER: _ClassVar[int]
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    OPEN_STREAMS_FIELD_NUMBER: _ClassVar[int]
    TURNS_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    COST_USD_FIELD_NUMBER: _ClassVar[int]
    PREFIX_HIT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    PREFIX_QUERY_TOKENS_FIELD_NUMBER: _ClassVar[int]
    TTFT_S_P50_FIELD_NUMBER: _ClassVar[int]
    TTFT_S_P99_FIELD_NUMBER: _ClassVar[int]
    ITL_S_P50_FIELD_NUMBER: _ClassVar[int]
    ITL_S_P99_FIELD_NUMBER: _ClassVar[int]
    OVERFLOW_TURNS_FIELD_NUMBER: _ClassVar[int]
    TROUBLE_FIELD_NUMBER: _ClassVar[int]
    LENT_FIELD_NUMBER: _ClassVar[int]
    WARMING_SHARE_FIELD_NUMBER: _ClassVar[int]
    LEASE_UNTIL_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    LEAVING_FIELD_NUMBER: _ClassVar[int]
    SCALING_FIELD_NUMBER: _ClassVar[int]
    name: str
    kind: SiteState.Kind
    draining: bool
    endpoints: _containers.RepeatedCompositeFieldContainer[EndpointState]
    sessions: int
    open_streams: int
    turns: int
    tokens: int
    failures: int
    cost_usd: float
    prefix_hit_tokens: int
    prefix_query_tokens: int
    ttft_s_p50: float
    ttft_s_p99: float
    itl_s_p50: float
    itl_s_p99: float
    overflow_turns: int
    trouble: SiteState.Trouble
    lent: Lent
    warming_share: float
    lease_until_unix_ns: int
    leaving: bool
    scaling: Scaling
    def __init__(self, name: _Optional[str] = ..., kind: _Optional[_Union[SiteState.Kind, str]] = ..., draining: _Optional[bool] = ..., endpoints: _Optional[_Iterable[_Union[EndpointState, _Mapping]]] = ..., sessions: _Optional[int] = ..., open_streams: _Optional[int] = ..., turns: _Optional[int] = ..., tokens: _Optional[int] = ..., failures: _Optional[int] = ..., cost_usd: _Optional[float] = ..., prefix_hit_tokens: _Optional[int] = ..., prefix_query_tokens: _Optional[int] = ..., ttft_s_p50: _Optional[float] = ..., ttft_s_p99: _Optional[float] = ..., itl_s_p50: _Optional[float] = ..., itl_s_p99: _Optional[float] = ..., overflow_turns: _Optional[int] = ..., trouble: _Optional[_Union[SiteState.Trouble, str]] = ..., lent: _Optional[_Union[Lent, _Mapping]] = ..., warming_share: _Optional[float] = ..., lease_until_unix_ns: _Optional[int] = ..., leaving: _Optional[bool] = ..., scaling: _Optional[_Union[Scaling, _Mapping]] = ...) -> None: ...

class Scaling(_message.Message):
    __slots__ = ("wanted", "serving", "need", "replicas_min", "replicas_max", "reason", "paid_usd")
    WANTED_FIELD_NUMBER: _ClassVar[int]
    SERVING_FIELD_NUMBER: _ClassVar[int]
    NEED_FIELD_NUMBER: _ClassVar[int]
    REPLICAS_MIN_FIELD_NUMBER: _ClassVar[int]
    REPLICAS_MAX_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    PAID_USD_FIELD_NUMBER: _ClassVar[int]
    wanted: int
    serving: int
    need: float
    replicas_min: int
    replicas_max: int
    reason: str
    paid_usd: float
    def __init__(self, wanted: _Optional[int] = ..., serving: _Optional[int] = ..., need: _Optional[float] = ..., replicas_min: _Optional[int] = ..., replicas_max: _Optional[int] = ..., reason: _Optional[str] = ..., paid_usd: _Optional[float] = ...) -> None: ...

class EndpointState(_message.Message):
    __slots__ = ("name", "address", "instance_id", "health", "draining", "in_flight", "running_requests", "waiting_requests", "queued_prefill_tokens", "kv_usage", "rtt_s", "report_age_s", "model", "attention_backend", "generated_tokens", "tokens_per_s", "itl_s", "ttft_s", "endpoints_up", "endpoints", "trouble", "linked", "lent", "adapters_loaded")
    class Health(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        HEALTH_UNSPECIFIED: _ClassVar[EndpointState.Health]
        UP: _ClassVar[EndpointState.Health]
        SUSPECT: _ClassVar[EndpointState.Health]
        DOWN: _ClassVar[EndpointState.Health]
    HEALTH_UNSPECIFIED: EndpointState.Health
    UP: EndpointState.Health
    SUSPECT: EndpointState.Health
    DOWN: EndpointState.Health
    NAME_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    HEALTH_FIELD_NUMBER: _ClassVar[int]
    DRAINING_FIELD_NUMBER: _ClassVar[int]
    IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    RUNNING_REQUESTS_FIELD_NUMBER: _ClassVar[int]
    WAITING_REQUESTS_FIELD_NUMBER: _ClassVar[int]
    QUEUED_PREFILL_TOKENS_FIELD_NUMBER: _ClassVar[int]
    KV_USAGE_FIELD_NUMBER: _ClassVar[int]
    RTT_S_FIELD_NUMBER: _ClassVar[int]
    REPORT_AGE_S_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    ATTENTION_BACKEND_FIELD_NUMBER: _ClassVar[int]
    GENERATED_TOKENS_FIELD_NUMBER: _ClassVar[int]
    TOKENS_PER_S_FIELD_NUMBER: _ClassVar[int]
    ITL_S_FIELD_NUMBER: _ClassVar[int]
    TTFT_S_FIELD_NUMBER: _ClassVar[int]
    ENDPOINTS_UP_FIELD_NUMBER: _ClassVar[int]
    ENDPOINTS_FIELD_NUMBER: _ClassVar[int]
    TROUBLE_FIELD_NUMBER: _ClassVar[int]
    LINKED_FIELD_NUMBER: _ClassVar[int]
    LENT_FIELD_NUMBER: _ClassVar[int]
    ADAPTERS_LOADED_FIELD_NUMBER: _ClassVar[int]
    name: str
    address: str
    instance_id: str
    health: EndpointState.Health
    draining: bool
    in_flight: int
    running_requests: int
    waiting_requests: int
    queued_prefill_tokens: int
    kv_usage: float
    rtt_s: float
    report_age_s: float
    model: str
    attention_backend: str
    generated_tokens: int
    tokens_per_s: float
    itl_s: float
    ttft_s: float
    endpoints_up: int
    endpoints: int
    trouble: str
    linked: bool
    lent: bool
    adapters_loaded: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., address: _Optional[str] = ..., instance_id: _Optional[str] = ..., health: _Optional[_Union[EndpointState.Health, str]] = ..., draining: _Optional[bool] = ..., in_flight: _Optional[int] = ..., running_requests: _Optional[int] = ..., waiting_requests: _Optional[int] = ..., queued_prefill_tokens: _Optional[int] = ..., kv_usage: _Optional[float] = ..., rtt_s: _Optional[float] = ..., report_age_s: _Optional[float] = ..., model: _Optional[str] = ..., attention_backend: _Optional[str] = ..., generated_tokens: _Optional[int] = ..., tokens_per_s: _Optional[float] = ..., itl_s: _Optional[float] = ..., ttft_s: _Optional[float] = ..., endpoints_up: _Optional[int] = ..., endpoints: _Optional[int] = ..., trouble: _Optional[str] = ..., linked: _Optional[bool] = ..., lent: _Optional[bool] = ..., adapters_loaded: _Optional[_Iterable[str]] = ...) -> None: ...

class DrainRequest(_message.Message):
    __slots__ = ("site",)
    SITE_FIELD_NUMBER: _ClassVar[int]
    site: str
    def __init__(self, site: _Optional[str] = ...) -> None: ...

class DrainResponse(_message.Message):
    __slots__ = ("open_streams",)
    OPEN_STREAMS_FIELD_NUMBER: _ClassVar[int]
    open_streams: int
    def __init__(self, open_streams: _Optional[int] = ...) -> None: ...

class UndrainRequest(_message.Message):
    __slots__ = ("site",)
    SITE_FIELD_NUMBER: _ClassVar[int]
    site: str
    def __init__(self, site: _Optional[str] = ...) -> None: ...

class UndrainResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ReloadRequest(_message.Message):
    __slots__ = ("dry_run",)
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    dry_run: bool
    def __init__(self, dry_run: _Optional[bool] = ...) -> None: ...

class ReloadResponse(_message.Message):
    __slots__ = ("changes", "digest", "applied")
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    APPLIED_FIELD_NUMBER: _ClassVar[int]
    changes: _containers.RepeatedCompositeFieldContainer[Change]
    digest: str
    applied: bool
    def __init__(self, changes: _Optional[_Iterable[_Union[Change, _Mapping]]] = ..., digest: _Optional[str] = ..., applied: _Optional[bool] = ...) -> None: ...

class Change(_message.Message):
    __slots__ = ("key", "before", "after")
    KEY_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    key: str
    before: str
    after: str
    def __init__(self, key: _Optional[str] = ..., before: _Optional[str] = ..., after: _Optional[str] = ...) -> None: ...

class LendRequest(_message.Message):
    __slots__ = ("site", "replicas", "until_unix_ns", "reason")
    SITE_FIELD_NUMBER: _ClassVar[int]
    REPLICAS_FIELD_NUMBER: _ClassVar[int]
    UNTIL_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    site: str
    replicas: int
    until_unix_ns: int
    reason: str
    def __init__(self, site: _Optional[str] = ..., replicas: _Optional[int] = ..., until_unix_ns: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class ReclaimRequest(_message.Message):
    __slots__ = ("site", "replicas")
    SITE_FIELD_NUMBER: _ClassVar[int]
    REPLICAS_FIELD_NUMBER: _ClassVar[int]
    site: str
    replicas: int
    def __init__(self, site: _Optional[str] = ..., replicas: _Optional[int] = ...) -> None: ...

class ListLentRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListLentResponse(_message.Message):
    __slots__ = ("lent",)
    LENT_FIELD_NUMBER: _ClassVar[int]
    lent: _containers.RepeatedCompositeFieldContainer[Lent]
    def __init__(self, lent: _Optional[_Iterable[_Union[Lent, _Mapping]]] = ...) -> None: ...

class Lent(_message.Message):
    __slots__ = ("site", "phase", "loaned", "loaned_until_unix_ns", "reason", "scheduled", "scheduled_until_unix_ns", "endpoints", "open_streams", "of", "returning", "trouble")
    class Phase(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        PHASE_UNSPECIFIED: _ClassVar[Lent.Phase]
        DRAINING: _ClassVar[Lent.Phase]
        AWAY: _ClassVar[Lent.Phase]
        STOPPING: _ClassVar[Lent.Phase]
        RETURNING: _ClassVar[Lent.Phase]
    PHASE_UNSPECIFIED: Lent.Phase
    DRAINING: Lent.Phase
    AWAY: Lent.Phase
    STOPPING: Lent.Phase
    RETURNING: Lent.Phase
    SITE_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    LOANED_FIELD_NUMBER: _ClassVar[int]
    LOANED_UNTIL_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    SCHEDULED_FIELD_NUMBER: _ClassVar[int]
    SCHEDULED_UNTIL_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    ENDPOINTS_FIELD_NUMBER: _ClassVar[int]
    OPEN_STREAMS_FIELD_NUMBER: _ClassVar[int]
    OF_FIELD_NUMBER: _ClassVar[int]
    RETURNING_FIELD_NUMBER: _ClassVar[int]
    TROUBLE_FIELD_NUMBER: _ClassVar[int]
    site: str
    phase: Lent.Phase
    loaned: int
    loaned_until_unix_ns: int
    reason: str
    scheduled: int
    scheduled_until_unix_ns: int
    endpoints: _containers.RepeatedScalarFieldContainer[str]
    open_streams: int
    of: int
    returning: int
    trouble: str
    def __init__(self, site: _Optional[str] = ..., phase: _Optional[_Union[Lent.Phase, str]] = ..., loaned: _Optional[int] = ..., loaned_until_unix_ns: _Optional[int] = ..., reason: _Optional[str] = ..., scheduled: _Optional[int] = ..., scheduled_until_unix_ns: _Optional[int] = ..., endpoints: _Optional[_Iterable[str]] = ..., open_streams: _Optional[int] = ..., of: _Optional[int] = ..., returning: _Optional[int] = ..., trouble: _Optional[str] = ...) -> None: ...

class ListSessionsRequest(_message.Message):
    __slots__ = ("site", "tenant", "limit")
    SITE_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    site: str
    tenant: str
    limit: int
    def __init__(self, site: _Optional[str] = ..., tenant: _Optional[str] = ..., limit: _Optional[int] = ...) -> None: ...

class ListSessionsResponse(_message.Message):
    __slots__ = ("sessions", "more", "total", "router_id")
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    ROUTER_ID_FIELD_NUMBER: _ClassVar[int]
    sessions: _containers.RepeatedCompositeFieldContainer[PlacedSession]
    more: bool
    total: int
    router_id: str
    def __init__(self, sessions: _Optional[_Iterable[_Union[PlacedSession, _Mapping]]] = ..., more: _Optional[bool] = ..., total: _Optional[int] = ..., router_id: _Optional[str] = ...) -> None: ...

class PlacedSession(_message.Message):
    __slots__ = ("session", "tenant", "site", "endpoint", "overflow", "turns", "moves", "output_tokens", "cached_tokens", "idle_s")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    SITE_FIELD_NUMBER: _ClassVar[int]
    ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    OVERFLOW_FIELD_NUMBER: _ClassVar[int]
    TURNS_FIELD_NUMBER: _ClassVar[int]
    MOVES_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    CACHED_TOKENS_FIELD_NUMBER: _ClassVar[int]
    IDLE_S_FIELD_NUMBER: _ClassVar[int]
    session: str
    tenant: str
    site: str
    endpoint: str
    overflow: bool
    turns: int
    moves: int
    output_tokens: int
    cached_tokens: int
    idle_s: float
    def __init__(self, session: _Optional[str] = ..., tenant: _Optional[str] = ..., site: _Optional[str] = ..., endpoint: _Optional[str] = ..., overflow: _Optional[bool] = ..., turns: _Optional[int] = ..., moves: _Optional[int] = ..., output_tokens: _Optional[int] = ..., cached_tokens: _Optional[int] = ..., idle_s: _Optional[float] = ...) -> None: ...

class ListQuarantineRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListQuarantineResponse(_message.Message):
    __slots__ = ("quarantined",)
    QUARANTINED_FIELD_NUMBER: _ClassVar[int]
    quarantined: _containers.RepeatedCompositeFieldContainer[Quarantined]
    def __init__(self, quarantined: _Optional[_Iterable[_Union[Quarantined, _Mapping]]] = ...) -> None: ...

class Quarantined(_message.Message):
    __slots__ = ("fingerprint", "model", "tenant", "endpoints", "age_s", "left_s", "refused", "prompt_tokens")
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    ENDPOINTS_FIELD_NUMBER: _ClassVar[int]
    AGE_S_FIELD_NUMBER: _ClassVar[int]
    LEFT_S_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    PROMPT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    fingerprint: str
    model: str
    tenant: str
    endpoints: _containers.RepeatedScalarFieldContainer[str]
    age_s: float
    left_s: float
    refused: int
    prompt_tokens: int
    def __init__(self, fingerprint: _Optional[str] = ..., model: _Optional[str] = ..., tenant: _Optional[str] = ..., endpoints: _Optional[_Iterable[str]] = ..., age_s: _Optional[float] = ..., left_s: _Optional[float] = ..., refused: _Optional[int] = ..., prompt_tokens: _Optional[int] = ...) -> None: ...

class ReleaseQuarantineRequest(_message.Message):
    __slots__ = ("fingerprint",)
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    fingerprint: str
    def __init__(self, fingerprint: _Optional[str] = ...) -> None: ...

class ReleaseQuarantineResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
