from wire.spillway.v1 import load_pb2 as _load_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Up(_message.Message):
    __slots__ = ("hello", "opened", "cancelled", "credits")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    OPENED_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_FIELD_NUMBER: _ClassVar[int]
    CREDITS_FIELD_NUMBER: _ClassVar[int]
    hello: Hello
    opened: _containers.RepeatedCompositeFieldContainer[Open]
    cancelled: _containers.RepeatedScalarFieldContainer[int]
    credits: _containers.RepeatedCompositeFieldContainer[Credit]
    def __init__(self, hello: _Optional[_Union[Hello, _Mapping]] = ..., opened: _Optional[_Iterable[_Union[Open, _Mapping]]] = ..., cancelled: _Optional[_Iterable[int]] = ..., credits: _Optional[_Iterable[_Union[Credit, _Mapping]]] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("watch", "message_bytes_max", "credit_bytes")
    WATCH_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_BYTES_MAX_FIELD_NUMBER: _ClassVar[int]
    CREDIT_BYTES_FIELD_NUMBER: _ClassVar[int]
    watch: _load_pb2.WatchLoadRequest
    message_bytes_max: int
    credit_bytes: int
    def __init__(self, watch: _Optional[_Union[_load_pb2.WatchLoadRequest, _Mapping]] = ..., message_bytes_max: _Optional[int] = ..., credit_bytes: _Optional[int] = ...) -> None: ...

class Open(_message.Message):
    __slots__ = ("session", "request", "metadata", "timeout_us")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_US_FIELD_NUMBER: _ClassVar[int]
    session: int
    request: bytes
    metadata: _containers.RepeatedCompositeFieldContainer[Header]
    timeout_us: int
    def __init__(self, session: _Optional[int] = ..., request: _Optional[bytes] = ..., metadata: _Optional[_Iterable[_Union[Header, _Mapping]]] = ..., timeout_us: _Optional[int] = ...) -> None: ...

class Header(_message.Message):
    __slots__ = ("key", "value")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    key: str
    value: bytes
    def __init__(self, key: _Optional[str] = ..., value: _Optional[bytes] = ...) -> None: ...

class Credit(_message.Message):
    __slots__ = ("session", "bytes")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    session: int
    bytes: int
    def __init__(self, session: _Optional[int] = ..., bytes: _Optional[int] = ...) -> None: ...

class Down(_message.Message):
    __slots__ = ("sessions", "chunks", "ended", "load", "leaving")
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    ENDED_FIELD_NUMBER: _ClassVar[int]
    LOAD_FIELD_NUMBER: _ClassVar[int]
    LEAVING_FIELD_NUMBER: _ClassVar[int]
    sessions: _containers.RepeatedScalarFieldContainer[int]
    chunks: _containers.RepeatedScalarFieldContainer[bytes]
    ended: _containers.RepeatedCompositeFieldContainer[Ended]
    load: _load_pb2.LoadReport
    leaving: bool
    def __init__(self, sessions: _Optional[_Iterable[int]] = ..., chunks: _Optional[_Iterable[bytes]] = ..., ended: _Optional[_Iterable[_Union[Ended, _Mapping]]] = ..., load: _Optional[_Union[_load_pb2.LoadReport, _Mapping]] = ..., leaving: _Optional[bool] = ...) -> None: ...

class Ended(_message.Message):
    __slots__ = ("session", "code", "message", "trailers")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    TRAILERS_FIELD_NUMBER: _ClassVar[int]
    session: int
    code: int
    message: str
    trailers: _containers.RepeatedCompositeFieldContainer[Header]
    def __init__(self, session: _Optional[int] = ..., code: _Optional[int] = ..., message: _Optional[str] = ..., trailers: _Optional[_Iterable[_Union[Header, _Mapping]]] = ...) -> None: ...
