"""Reads bytes as a message, and says what is wrong with them where they are none."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet

M = TypeVar("M", bound=Message)

_LENGTH_DELIMITED = 2


@dataclass(frozen=True, slots=True)
class Malformed:
    """Why bytes are no message: the field's path (empty where it cannot be told) and a reason."""

    field: str
    reason: str


def read(message_type: type[M], raw: bytes) -> M | Malformed:
    """The message, or what is wrong with it. Never raises.

    Of several fields of one choice the parser keeps the last; here they are refused, since the
    sender cannot have meant both.
    """
    try:
        message = message_type.FromString(raw)
        return _chosen_twice(message_type.DESCRIPTOR, raw) or message
    except DecodeError:
        return _diagnose(message_type.DESCRIPTOR, raw, "") or Malformed(
            "", f"the bytes are no {message_type.DESCRIPTOR.full_name}"
        )


def _chosen_twice(descriptor: Any, raw: bytes) -> Malformed | None:
    """The first choice of a message of which raw has more than one field."""
    sent = {unknown.field_number for unknown in _unknown(raw)}
    for choice in descriptor.oneofs:
        names = [field.name for field in choice.fields if field.number in sent]
        if len(names) > 1:
            return Malformed(choice.name, f"has both {' and '.join(names)}: give one of them")
    return None


def _diagnose(descriptor: Any, raw: bytes, path: str) -> Malformed | None:
    """The first field of raw that cannot be read, or None where none can be named.

    The parser gives no reason, so the bytes are read again as a message of unknown fields, whose
    contents are not looked at.
    """
    try:
        fields = _unknown(raw)
    except DecodeError:
        return None
    for unknown in fields:
        field = descriptor.fields_by_number.get(unknown.field_number)
        if field is None or unknown.wire_type != _LENGTH_DELIMITED:
            continue
        name = f"{path}{field.name}"
        if field.type == FieldDescriptor.TYPE_STRING and not _is_utf8(unknown.data):
            return Malformed(name, "is not valid UTF-8")
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            inner = _diagnose(field.message_type, unknown.data, f"{name}.")
            if inner is not None:
                return inner
    return None


def _unknown(raw: bytes) -> Iterable[Any]:
    """The fields of bytes as a message of none. Raises DecodeError."""
    fields: Any = UnknownFieldSet(Empty.FromString(raw))  # whose stubs leave out that it iterates
    found: Iterable[Any] = fields
    return found


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
