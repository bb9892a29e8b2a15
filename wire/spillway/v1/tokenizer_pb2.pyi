from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class ReadTokenizerRequest(_message.Message):
    __slots__ = ("model", "files")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    model: str
    files: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, model: _Optional[str] = ..., files: _Optional[_Iterable[str]] = ...) -> None: ...

class TokenizerPiece(_message.Message):
    __slots__ = ("file", "content")
    FILE_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    file: str
    content: bytes
    def __init__(self, file: _Optional[str] = ..., content: _Optional[bytes] = ...) -> None: ...
