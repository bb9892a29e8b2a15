from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class Cookie(_message.Message):
    __slots__ = ("session_digest", "endpoint", "issued_unix_ns", "cached_tokens", "blocks", "block", "below")
    SESSION_DIGEST_FIELD_NUMBER: _ClassVar[int]
    ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    ISSUED_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    CACHED_TOKENS_FIELD_NUMBER: _ClassVar[int]
    BLOCKS_FIELD_NUMBER: _ClassVar[int]
    BLOCK_FIELD_NUMBER: _ClassVar[int]
    BELOW_FIELD_NUMBER: _ClassVar[int]
    session_digest: bytes
    endpoint: str
    issued_unix_ns: int
    cached_tokens: int
    blocks: int
    block: int
    below: str
    def __init__(self, session_digest: _Optional[bytes] = ..., endpoint: _Optional[str] = ..., issued_unix_ns: _Optional[int] = ..., cached_tokens: _Optional[int] = ..., blocks: _Optional[int] = ..., block: _Optional[int] = ..., below: _Optional[str] = ...) -> None: ...

class SignedCookie(_message.Message):
    __slots__ = ("cookie", "signature")
    COOKIE_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    cookie: bytes
    signature: bytes
    def __init__(self, cookie: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...
