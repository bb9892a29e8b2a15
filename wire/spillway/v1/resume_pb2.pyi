from wire.spillway.v1 import load_pb2 as _load_pb2
from wire.vllm import inference_pb2 as _inference_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Delivered(_message.Message):
    __slots__ = ("messages",)
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    messages: _containers.RepeatedCompositeFieldContainer[_inference_pb2.GenerateResponse]
    def __init__(self, messages: _Optional[_Iterable[_Union[_inference_pb2.GenerateResponse, _Mapping]]] = ...) -> None: ...

class ResumeToken(_message.Message):
    __slots__ = ("request_digest", "identity", "prompt_ids", "output_ids", "text_bytes")
    REQUEST_DIGEST_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    PROMPT_IDS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_IDS_FIELD_NUMBER: _ClassVar[int]
    TEXT_BYTES_FIELD_NUMBER: _ClassVar[int]
    request_digest: bytes
    identity: _load_pb2.Identity
    prompt_ids: _containers.RepeatedScalarFieldContainer[int]
    output_ids: _containers.RepeatedScalarFieldContainer[int]
    text_bytes: int
    def __init__(self, request_digest: _Optional[bytes] = ..., identity: _Optional[_Union[_load_pb2.Identity, _Mapping]] = ..., prompt_ids: _Optional[_Iterable[int]] = ..., output_ids: _Optional[_Iterable[int]] = ..., text_bytes: _Optional[int] = ...) -> None: ...
