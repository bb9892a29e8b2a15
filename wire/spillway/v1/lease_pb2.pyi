from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class Lease(_message.Message):
    __slots__ = ("id", "audience", "issuer", "expires_unix_ns", "session", "tenant", "fingerprint", "request_bytes_max", "output_tokens_max", "pass_through", "laid_over")
    ID_FIELD_NUMBER: _ClassVar[int]
    AUDIENCE_FIELD_NUMBER: _ClassVar[int]
    ISSUER_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_BYTES_MAX_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_TOKENS_MAX_FIELD_NUMBER: _ClassVar[int]
    PASS_THROUGH_FIELD_NUMBER: _ClassVar[int]
    LAID_OVER_FIELD_NUMBER: _ClassVar[int]
    id: str
    audience: str
    issuer: str
    expires_unix_ns: int
    session: str
    tenant: str
    fingerprint: str
    request_bytes_max: int
    output_tokens_max: int
    pass_through: bool
    laid_over: bytes
    def __init__(self, id: _Optional[str] = ..., audience: _Optional[str] = ..., issuer: _Optional[str] = ..., expires_unix_ns: _Optional[int] = ..., session: _Optional[str] = ..., tenant: _Optional[str] = ..., fingerprint: _Optional[str] = ..., request_bytes_max: _Optional[int] = ..., output_tokens_max: _Optional[int] = ..., pass_through: _Optional[bool] = ..., laid_over: _Optional[bytes] = ...) -> None: ...

class SignedLease(_message.Message):
    __slots__ = ("lease", "signature")
    LEASE_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    lease: bytes
    signature: bytes
    def __init__(self, lease: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...
