from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CostRequest(_message.Message):
    __slots__ = ("by", "since", "until")
    BY_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    by: _containers.RepeatedScalarFieldContainer[str]
    since: str
    until: str
    def __init__(self, by: _Optional[_Iterable[str]] = ..., since: _Optional[str] = ..., until: _Optional[str] = ...) -> None: ...

class CostReport(_message.Message):
    __slots__ = ("lines", "total", "cut", "lag_s")
    LINES_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    CUT_FIELD_NUMBER: _ClassVar[int]
    LAG_S_FIELD_NUMBER: _ClassVar[int]
    lines: _containers.RepeatedCompositeFieldContainer[CostLine]
    total: CostSums
    cut: bool
    lag_s: float
    def __init__(self, lines: _Optional[_Iterable[_Union[CostLine, _Mapping]]] = ..., total: _Optional[_Union[CostSums, _Mapping]] = ..., cut: _Optional[bool] = ..., lag_s: _Optional[float] = ...) -> None: ...

class CostLine(_message.Message):
    __slots__ = ("key", "sums")
    KEY_FIELD_NUMBER: _ClassVar[int]
    SUMS_FIELD_NUMBER: _ClassVar[int]
    key: _containers.RepeatedScalarFieldContainer[str]
    sums: CostSums
    def __init__(self, key: _Optional[_Iterable[str]] = ..., sums: _Optional[_Union[CostSums, _Mapping]] = ...) -> None: ...

class CostSums(_message.Message):
    __slots__ = ("attempts", "requests", "prompt_tokens", "uncached_tokens", "output_tokens", "egress_bytes", "committed_gpu_s", "metered_gpu_s", "committed_usd", "metered_usd", "egress_usd")
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    PROMPT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    UNCACHED_TOKENS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    EGRESS_BYTES_FIELD_NUMBER: _ClassVar[int]
    COMMITTED_GPU_S_FIELD_NUMBER: _ClassVar[int]
    METERED_GPU_S_FIELD_NUMBER: _ClassVar[int]
    COMMITTED_USD_FIELD_NUMBER: _ClassVar[int]
    METERED_USD_FIELD_NUMBER: _ClassVar[int]
    EGRESS_USD_FIELD_NUMBER: _ClassVar[int]
    attempts: int
    requests: int
    prompt_tokens: int
    uncached_tokens: int
    output_tokens: int
    egress_bytes: int
    committed_gpu_s: float
    metered_gpu_s: float
    committed_usd: float
    metered_usd: float
    egress_usd: float
    def __init__(self, attempts: _Optional[int] = ..., requests: _Optional[int] = ..., prompt_tokens: _Optional[int] = ..., uncached_tokens: _Optional[int] = ..., output_tokens: _Optional[int] = ..., egress_bytes: _Optional[int] = ..., committed_gpu_s: _Optional[float] = ..., metered_gpu_s: _Optional[float] = ..., committed_usd: _Optional[float] = ..., metered_usd: _Optional[float] = ..., egress_usd: _Optional[float] = ...) -> None: ...

class ReconcileRequest(_message.Message):
    __slots__ = ("since", "until")
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    since: str
    until: str
    def __init__(self, since: _Optional[str] = ..., until: _Optional[str] = ...) -> None: ...

class Reconciliation(_message.Message):
    __slots__ = ("sites", "lost_attempts", "lag_s")
    SITES_FIELD_NUMBER: _ClassVar[int]
    LOST_ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    LAG_S_FIELD_NUMBER: _ClassVar[int]
    sites: _containers.RepeatedCompositeFieldContainer[SiteAccount]
    lost_attempts: int
    lag_s: float
    def __init__(self, sites: _Optional[_Iterable[_Union[SiteAccount, _Mapping]]] = ..., lost_attempts: _Optional[int] = ..., lag_s: _Optional[float] = ...) -> None: ...

class SiteAccount(_message.Message):
    __slots__ = ("site", "told_output_tokens", "told_prompt_tokens", "told_cached_tokens", "output_tokens", "prompt_tokens", "uncached_tokens")
    SITE_FIELD_NUMBER: _ClassVar[int]
    TOLD_OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    TOLD_PROMPT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    TOLD_CACHED_TOKENS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    PROMPT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    UNCACHED_TOKENS_FIELD_NUMBER: _ClassVar[int]
    site: str
    told_output_tokens: int
    told_prompt_tokens: int
    told_cached_tokens: int
    output_tokens: int
    prompt_tokens: int
    uncached_tokens: int
    def __init__(self, site: _Optional[str] = ..., told_output_tokens: _Optional[int] = ..., told_prompt_tokens: _Optional[int] = ..., told_cached_tokens: _Optional[int] = ..., output_tokens: _Optional[int] = ..., prompt_tokens: _Optional[int] = ..., uncached_tokens: _Optional[int] = ...) -> None: ...
