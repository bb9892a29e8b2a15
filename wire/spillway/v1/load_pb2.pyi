from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class WatchLoadRequest(_message.Message):
    __slots__ = ("max_silence_ms", "accounts")
    MAX_SILENCE_MS_FIELD_NUMBER: _ClassVar[int]
    ACCOUNTS_FIELD_NUMBER: _ClassVar[int]
    max_silence_ms: int
    accounts: bool
    def __init__(self, max_silence_ms: _Optional[int] = ..., accounts: _Optional[bool] = ...) -> None: ...

class LoadReport(_message.Message):
    __slots__ = ("instance_id", "sequence", "sampled_unix_ns", "running_requests", "waiting_requests", "queued_prefill_tokens", "kv_usage", "prefix_hit_tokens", "prefix_query_tokens", "ttft_s", "itl_s", "draining", "lent_share", "prefix", "max_running_requests", "kv_tokens_max", "generated_tokens", "model", "attention_backend", "identity", "gateway", "accounts", "takes_leases", "link", "itl_s_p95", "requires_leases", "adapters")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    SAMPLED_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    RUNNING_REQUESTS_FIELD_NUMBER: _ClassVar[int]
    WAITING_REQUESTS_FIELD_NUMBER: _ClassVar[int]
    QUEUED_PREFILL_TOKENS_FIELD_NUMBER: _ClassVar[int]
    KV_USAGE_FIELD_NUMBER: _ClassVar[int]
    PREFIX_HIT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    PREFIX_QUERY_TOKENS_FIELD_NUMBER: _ClassVar[int]
    TTFT_S_FIELD_NUMBER: _ClassVar[int]
    ITL_S_FIELD_NUMBER: _ClassVar[int]
    DRAINING_FIELD_NUMBER: _ClassVar[int]
    LENT_SHARE_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    MAX_RUNNING_REQUESTS_FIELD_NUMBER: _ClassVar[int]
    KV_TOKENS_MAX_FIELD_NUMBER: _ClassVar[int]
    GENERATED_TOKENS_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    ATTENTION_BACKEND_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    GATEWAY_FIELD_NUMBER: _ClassVar[int]
    ACCOUNTS_FIELD_NUMBER: _ClassVar[int]
    TAKES_LEASES_FIELD_NUMBER: _ClassVar[int]
    LINK_FIELD_NUMBER: _ClassVar[int]
    ITL_S_P95_FIELD_NUMBER: _ClassVar[int]
    REQUIRES_LEASES_FIELD_NUMBER: _ClassVar[int]
    ADAPTERS_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    sequence: int
    sampled_unix_ns: int
    running_requests: int
    waiting_requests: int
    queued_prefill_tokens: int
    kv_usage: float
    prefix_hit_tokens: int
    prefix_query_tokens: int
    ttft_s: float
    itl_s: float
    draining: bool
    lent_share: float
    prefix: PrefixChange
    max_running_requests: int
    kv_tokens_max: int
    generated_tokens: int
    model: str
    attention_backend: str
    identity: Identity
    gateway: Gateway
    accounts: _containers.RepeatedCompositeFieldContainer[LeaseAccount]
    takes_leases: bool
    link: bool
    itl_s_p95: float
    requires_leases: bool
    adapters: Adapters
    def __init__(self, instance_id: _Optional[str] = ..., sequence: _Optional[int] = ..., sampled_unix_ns: _Optional[int] = ..., running_requests: _Optional[int] = ..., waiting_requests: _Optional[int] = ..., queued_prefill_tokens: _Optional[int] = ..., kv_usage: _Optional[float] = ..., prefix_hit_tokens: _Optional[int] = ..., prefix_query_tokens: _Optional[int] = ..., ttft_s: _Optional[float] = ..., itl_s: _Optional[float] = ..., draining: _Optional[bool] = ..., lent_share: _Optional[float] = ..., prefix: _Optional[_Union[PrefixChange, _Mapping]] = ..., max_running_requests: _Optional[int] = ..., kv_tokens_max: _Optional[int] = ..., generated_tokens: _Optional[int] = ..., model: _Optional[str] = ..., attention_backend: _Optional[str] = ..., identity: _Optional[_Union[Identity, _Mapping]] = ..., gateway: _Optional[_Union[Gateway, _Mapping]] = ..., accounts: _Optional[_Iterable[_Union[LeaseAccount, _Mapping]]] = ..., takes_leases: _Optional[bool] = ..., link: _Optional[bool] = ..., itl_s_p95: _Optional[float] = ..., requires_leases: _Optional[bool] = ..., adapters: _Optional[_Union[Adapters, _Mapping]] = ...) -> None: ...

class Adapters(_message.Message):
    __slots__ = ("loaded", "loaded_max", "running", "running_max", "load_s")
    class RunningEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    LOADED_FIELD_NUMBER: _ClassVar[int]
    LOADED_MAX_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    RUNNING_MAX_FIELD_NUMBER: _ClassVar[int]
    LOAD_S_FIELD_NUMBER: _ClassVar[int]
    loaded: _containers.RepeatedScalarFieldContainer[str]
    loaded_max: int
    running: _containers.ScalarMap[str, int]
    running_max: int
    load_s: float
    def __init__(self, loaded: _Optional[_Iterable[str]] = ..., loaded_max: _Optional[int] = ..., running: _Optional[_Mapping[str, int]] = ..., running_max: _Optional[int] = ..., load_s: _Optional[float] = ...) -> None: ...

class LeaseAccount(_message.Message):
    __slots__ = ("lease_id", "issuer", "use", "stage", "ttft_ns", "duration_ns", "age_ns", "decode_ns", "output_tokens", "messages", "egress_bytes", "status", "finished")
    class Stage(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STAGE_UNSPECIFIED: _ClassVar[LeaseAccount.Stage]
        STARTED: _ClassVar[LeaseAccount.Stage]
        FIRST_TOKEN: _ClassVar[LeaseAccount.Stage]
        ENDED: _ClassVar[LeaseAccount.Stage]
    STAGE_UNSPECIFIED: LeaseAccount.Stage
    STARTED: LeaseAccount.Stage
    FIRST_TOKEN: LeaseAccount.Stage
    ENDED: LeaseAccount.Stage
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    ISSUER_FIELD_NUMBER: _ClassVar[int]
    USE_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    TTFT_NS_FIELD_NUMBER: _ClassVar[int]
    DURATION_NS_FIELD_NUMBER: _ClassVar[int]
    AGE_NS_FIELD_NUMBER: _ClassVar[int]
    DECODE_NS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    EGRESS_BYTES_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    FINISHED_FIELD_NUMBER: _ClassVar[int]
    lease_id: str
    issuer: str
    use: int
    stage: LeaseAccount.Stage
    ttft_ns: int
    duration_ns: int
    age_ns: int
    decode_ns: int
    output_tokens: int
    messages: int
    egress_bytes: int
    status: int
    finished: bool
    def __init__(self, lease_id: _Optional[str] = ..., issuer: _Optional[str] = ..., use: _Optional[int] = ..., stage: _Optional[_Union[LeaseAccount.Stage, str]] = ..., ttft_ns: _Optional[int] = ..., duration_ns: _Optional[int] = ..., age_ns: _Optional[int] = ..., decode_ns: _Optional[int] = ..., output_tokens: _Optional[int] = ..., messages: _Optional[int] = ..., egress_bytes: _Optional[int] = ..., status: _Optional[int] = ..., finished: _Optional[bool] = ...) -> None: ...

class Gateway(_message.Message):
    __slots__ = ("routers", "endpoints_up", "endpoints", "forecasts")
    class RoutersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    ROUTERS_FIELD_NUMBER: _ClassVar[int]
    ENDPOINTS_UP_FIELD_NUMBER: _ClassVar[int]
    ENDPOINTS_FIELD_NUMBER: _ClassVar[int]
    FORECASTS_FIELD_NUMBER: _ClassVar[int]
    routers: _containers.ScalarMap[str, int]
    endpoints_up: int
    endpoints: int
    forecasts: _containers.RepeatedCompositeFieldContainer[Forecast]
    def __init__(self, routers: _Optional[_Mapping[str, int]] = ..., endpoints_up: _Optional[int] = ..., endpoints: _Optional[int] = ..., forecasts: _Optional[_Iterable[_Union[Forecast, _Mapping]]] = ...) -> None: ...

class Forecast(_message.Message):
    __slots__ = ("uncached_tokens", "ttft_s")
    UNCACHED_TOKENS_FIELD_NUMBER: _ClassVar[int]
    TTFT_S_FIELD_NUMBER: _ClassVar[int]
    uncached_tokens: int
    ttft_s: float
    def __init__(self, uncached_tokens: _Optional[int] = ..., ttft_s: _Optional[float] = ...) -> None: ...

class Identity(_message.Message):
    __slots__ = ("weights_digest", "tokenizer_digest", "numerics_digest", "restores", "adapters")
    class AdaptersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    WEIGHTS_DIGEST_FIELD_NUMBER: _ClassVar[int]
    TOKENIZER_DIGEST_FIELD_NUMBER: _ClassVar[int]
    NUMERICS_DIGEST_FIELD_NUMBER: _ClassVar[int]
    RESTORES_FIELD_NUMBER: _ClassVar[int]
    ADAPTERS_FIELD_NUMBER: _ClassVar[int]
    weights_digest: str
    tokenizer_digest: str
    numerics_digest: str
    restores: _containers.RepeatedScalarFieldContainer[str]
    adapters: _containers.ScalarMap[str, str]
    def __init__(self, weights_digest: _Optional[str] = ..., tokenizer_digest: _Optional[str] = ..., numerics_digest: _Optional[str] = ..., restores: _Optional[_Iterable[str]] = ..., adapters: _Optional[_Mapping[str, str]] = ...) -> None: ...

class PrefixChange(_message.Message):
    __slots__ = ("reset", "added", "removed")
    RESET_FIELD_NUMBER: _ClassVar[int]
    ADDED_FIELD_NUMBER: _ClassVar[int]
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    reset: bool
    added: _containers.RepeatedScalarFieldContainer[int]
    removed: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, reset: _Optional[bool] = ..., added: _Optional[_Iterable[int]] = ..., removed: _Optional[_Iterable[int]] = ...) -> None: ...
