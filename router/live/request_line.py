"""The line that a request leaves in the log when it has ended."""

import logging
from collections.abc import Mapping

import grpc
from google.protobuf.message import DecodeError

from wire.logs.lines import FIELDS, VALUE_CHARS_MAX, Value
from wire.logs.writing import requests_log
from wire.vllm.inference_pb2 import GenerateRequest

_log = requests_log()


class RequestLine:
    """Gathers what the line says. Where nobody wants lines, it is off and gathers nothing."""

    __slots__ = ("_fields", "is_on")

    def __init__(self, method: str) -> None:
        self.is_on = _log.isEnabledFor(logging.INFO)
        self._fields: dict[str, Value] = {"method": method} if self.is_on else {}

    def of(self, fields: Mapping[str, Value]) -> None:
        """What is known from the beginning; None is not said."""
        self._fields.update(fields)

    def end(self, code: grpc.StatusCode, fields: Mapping[str, Value]) -> None:
        """The request has ended with this status: the line is written."""
        self._fields.update(fields)
        self._fields["code"] = code.name
        _log.info("request", extra={FIELDS: self._fields})


def prompt_of(raw: bytes) -> str:
    """What a request asks, as a person reads it: as much as a line has room for.

    A stream may last for long, and many lines may wait.
    """
    try:
        message = GenerateRequest.FromString(raw)
    except DecodeError:
        return ""
    most = VALUE_CHARS_MAX + 1  # by which the line says that there is more
    if message.WhichOneof("prompt") == "token_ids":
        return " ".join(map(str, message.token_ids.ids[:most]))[:most]
    return message.text[:most]
