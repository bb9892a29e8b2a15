from wire.spillway.v1 import fleet_pb2 as _fleet_pb2
from wire.spillway.v1 import load_pb2 as _load_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Heard(_message.Message):
    __slots__ = ("listings", "answers", "reports", "drains", "released", "aborted", "loans", "asked", "rollouts", "demands", "wants")
    LISTINGS_FIELD_NUMBER: _ClassVar[int]
    ANSWERS_FIELD_NUMBER: _ClassVar[int]
    REPORTS_FIELD_NUMBER: _ClassVar[int]
    DRAINS_FIELD_NUMBER: _ClassVar[int]
    RELEASED_FIELD_NUMBER: _ClassVar[int]
    ABORTED_FIELD_NUMBER: _ClassVar[int]
    LOANS_FIELD_NUMBER: _ClassVar[int]
    ASKED_FIELD_NUMBER: _ClassVar[int]
    ROLLOUTS_FIELD_NUMBER: _ClassVar[int]
    DEMANDS_FIELD_NUMBER: _ClassVar[int]
    WANTS_FIELD_NUMBER: _ClassVar[int]
    listings: _containers.RepeatedCompositeFieldContainer[Listing]
    answers: _containers.RepeatedCompositeFieldContainer[Answer]
    reports: _containers.RepeatedCompositeFieldContainer[Report]
    drains: _containers.RepeatedCompositeFieldContainer[SiteDrain]
    released: _containers.RepeatedScalarFieldContainer[str]
    aborted: _containers.RepeatedScalarFieldContainer[str]
    loans: _containers.RepeatedCompositeFieldContainer[SiteLoans]
    asked: _containers.RepeatedCompositeFieldContainer[Asked]
    rollouts: _containers.RepeatedCompositeFieldContainer[RolloutWord]
    demands: _containers.RepeatedCompositeFieldContainer[Demand]
    wants: _containers.RepeatedCompositeFieldContainer[Wants]
    def __init__(self, listings: _Optional[_Iterable[_Union[Listing, _Mapping]]] = ..., answers: _Optional[_Iterable[_Union[Answer, _Mapping]]] = ..., reports: _Optional[_Iterable[_Union[Report, _Mapping]]] = ..., drains: _Optional[_Iterable[_Union[SiteDrain, _Mapping]]] = ..., released: _Optional[_Iterable[str]] = ..., aborted: _Optional[_Iterable[str]] = ..., loans: _Optional[_Iterable[_Union[SiteLoans, _Mapping]]] = ..., asked: _Optional[_Iterable[_Union[Asked, _Mapping]]] = ..., rollouts: _Optional[_Iterable[_Union[RolloutWord, _Mapping]]] = ..., demands: _Optional[_Iterable[_Union[Demand, _Mapping]]] = ..., wants: _Optional[_Iterable[_Union[Wants, _Mapping]]] = ...) -> None: ...

class Said(_message.Message):
    __slots__ = ("worker", "drain", "released", "aborted", "draining", "loans", "lending", "answered", "rollout", "returned", "demand", "wants")
    WORKER_FIELD_NUMBER: _ClassVar[int]
    DRAIN_FIELD_NUMBER: _ClassVar[int]
    RELEASED_FIELD_NUMBER: _ClassVar[int]
    ABORTED_FIELD_NUMBER: _ClassVar[int]
    DRAINING_FIELD_NUMBER: _ClassVar[int]
    LOANS_FIELD_NUMBER: _ClassVar[int]
    LENDING_FIELD_NUMBER: _ClassVar[int]
    ANSWERED_FIELD_NUMBER: _ClassVar[int]
    ROLLOUT_FIELD_NUMBER: _ClassVar[int]
    RETURNED_FIELD_NUMBER: _ClassVar[int]
    DEMAND_FIELD_NUMBER: _ClassVar[int]
    WANTS_FIELD_NUMBER: _ClassVar[int]
    worker: int
    drain: SiteDrain
    released: str
    aborted: _containers.RepeatedScalarFieldContainer[str]
    draining: _containers.RepeatedScalarFieldContainer[str]
    loans: SiteLoans
    lending: _containers.RepeatedCompositeFieldContainer[SiteLoans]
    answered: Answered
    rollout: RolloutWord
    returned: _containers.RepeatedCompositeFieldContainer[RolloutWord]
    demand: Demand
    wants: Wants
    def __init__(self, worker: _Optional[int] = ..., drain: _Optional[_Union[SiteDrain, _Mapping]] = ..., released: _Optional[str] = ..., aborted: _Optional[_Iterable[str]] = ..., draining: _Optional[_Iterable[str]] = ..., loans: _Optional[_Union[SiteLoans, _Mapping]] = ..., lending: _Optional[_Iterable[_Union[SiteLoans, _Mapping]]] = ..., answered: _Optional[_Union[Answered, _Mapping]] = ..., rollout: _Optional[_Union[RolloutWord, _Mapping]] = ..., returned: _Optional[_Iterable[_Union[RolloutWord, _Mapping]]] = ..., demand: _Optional[_Union[Demand, _Mapping]] = ..., wants: _Optional[_Union[Wants, _Mapping]] = ...) -> None: ...

class RolloutWord(_message.Message):
    __slots__ = ("name", "why", "new")
    NAME_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    NEW_FIELD_NUMBER: _ClassVar[int]
    name: str
    why: str
    new: str
    def __init__(self, name: _Optional[str] = ..., why: _Optional[str] = ..., new: _Optional[str] = ...) -> None: ...

class Listing(_message.Message):
    __slots__ = ("site", "addresses")
    SITE_FIELD_NUMBER: _ClassVar[int]
    ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    site: str
    addresses: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, site: _Optional[str] = ..., addresses: _Optional[_Iterable[str]] = ...) -> None: ...

class Answer(_message.Message):
    __slots__ = ("endpoint", "rtt_ns", "serving")
    ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    RTT_NS_FIELD_NUMBER: _ClassVar[int]
    SERVING_FIELD_NUMBER: _ClassVar[int]
    endpoint: str
    rtt_ns: int
    serving: bool
    def __init__(self, endpoint: _Optional[str] = ..., rtt_ns: _Optional[int] = ..., serving: _Optional[bool] = ...) -> None: ...

class Report(_message.Message):
    __slots__ = ("endpoint", "report")
    ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    endpoint: str
    report: _load_pb2.LoadReport
    def __init__(self, endpoint: _Optional[str] = ..., report: _Optional[_Union[_load_pb2.LoadReport, _Mapping]] = ...) -> None: ...

class SiteDrain(_message.Message):
    __slots__ = ("site", "draining")
    SITE_FIELD_NUMBER: _ClassVar[int]
    DRAINING_FIELD_NUMBER: _ClassVar[int]
    site: str
    draining: bool
    def __init__(self, site: _Optional[str] = ..., draining: _Optional[bool] = ...) -> None: ...

class SiteLoans(_message.Message):
    __slots__ = ("site", "loan", "recall", "first", "said_unix_ns")
    SITE_FIELD_NUMBER: _ClassVar[int]
    LOAN_FIELD_NUMBER: _ClassVar[int]
    RECALL_FIELD_NUMBER: _ClassVar[int]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    SAID_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    site: str
    loan: Loan
    recall: Recall
    first: _containers.RepeatedScalarFieldContainer[str]
    said_unix_ns: int
    def __init__(self, site: _Optional[str] = ..., loan: _Optional[_Union[Loan, _Mapping]] = ..., recall: _Optional[_Union[Recall, _Mapping]] = ..., first: _Optional[_Iterable[str]] = ..., said_unix_ns: _Optional[int] = ...) -> None: ...

class Loan(_message.Message):
    __slots__ = ("replicas", "of", "since_unix_ns", "until_unix_ns", "reason")
    REPLICAS_FIELD_NUMBER: _ClassVar[int]
    OF_FIELD_NUMBER: _ClassVar[int]
    SINCE_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    UNTIL_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    replicas: int
    of: int
    since_unix_ns: int
    until_unix_ns: int
    reason: str
    def __init__(self, replicas: _Optional[int] = ..., of: _Optional[int] = ..., since_unix_ns: _Optional[int] = ..., until_unix_ns: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class Recall(_message.Message):
    __slots__ = ("replicas", "until_unix_ns")
    REPLICAS_FIELD_NUMBER: _ClassVar[int]
    UNTIL_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    replicas: int
    until_unix_ns: int
    def __init__(self, replicas: _Optional[int] = ..., until_unix_ns: _Optional[int] = ...) -> None: ...

class Asked(_message.Message):
    __slots__ = ("id", "what", "body")
    ID_FIELD_NUMBER: _ClassVar[int]
    WHAT_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    id: int
    what: str
    body: bytes
    def __init__(self, id: _Optional[int] = ..., what: _Optional[str] = ..., body: _Optional[bytes] = ...) -> None: ...

class Answered(_message.Message):
    __slots__ = ("id", "body")
    ID_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    id: int
    body: bytes
    def __init__(self, id: _Optional[int] = ..., body: _Optional[bytes] = ...) -> None: ...

class Demand(_message.Message):
    __slots__ = ("worker", "began", "requests", "prompt_tokens", "output_tokens", "pressed", "missed", "sites")
    WORKER_FIELD_NUMBER: _ClassVar[int]
    BEGAN_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    PROMPT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    PRESSED_FIELD_NUMBER: _ClassVar[int]
    MISSED_FIELD_NUMBER: _ClassVar[int]
    SITES_FIELD_NUMBER: _ClassVar[int]
    worker: int
    began: int
    requests: int
    prompt_tokens: int
    output_tokens: float
    pressed: int
    missed: int
    sites: _containers.RepeatedCompositeFieldContainer[SiteDone]
    def __init__(self, worker: _Optional[int] = ..., began: _Optional[int] = ..., requests: _Optional[int] = ..., prompt_tokens: _Optional[int] = ..., output_tokens: _Optional[float] = ..., pressed: _Optional[int] = ..., missed: _Optional[int] = ..., sites: _Optional[_Iterable[_Union[SiteDone, _Mapping]]] = ...) -> None: ...

class SiteDone(_message.Message):
    __slots__ = ("site", "work_tokens", "overflowed", "spent_usd")
    SITE_FIELD_NUMBER: _ClassVar[int]
    WORK_TOKENS_FIELD_NUMBER: _ClassVar[int]
    OVERFLOWED_FIELD_NUMBER: _ClassVar[int]
    SPENT_USD_FIELD_NUMBER: _ClassVar[int]
    site: str
    work_tokens: float
    overflowed: int
    spent_usd: float
    def __init__(self, site: _Optional[str] = ..., work_tokens: _Optional[float] = ..., overflowed: _Optional[int] = ..., spent_usd: _Optional[float] = ...) -> None: ...

class Wants(_message.Message):
    __slots__ = ("wants",)
    WANTS_FIELD_NUMBER: _ClassVar[int]
    wants: _containers.RepeatedCompositeFieldContainer[Want]
    def __init__(self, wants: _Optional[_Iterable[_Union[Want, _Mapping]]] = ...) -> None: ...

class Want(_message.Message):
    __slots__ = ("site", "scaling")
    SITE_FIELD_NUMBER: _ClassVar[int]
    SCALING_FIELD_NUMBER: _ClassVar[int]
    site: str
    scaling: _fleet_pb2.Scaling
    def __init__(self, site: _Optional[str] = ..., scaling: _Optional[_Union[_fleet_pb2.Scaling, _Mapping]] = ...) -> None: ...
