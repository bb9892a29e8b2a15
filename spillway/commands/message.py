"""A message of the wire, as scripts read it."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from google.protobuf.message import Message


def as_json(message: "Message") -> dict[str, Any]:
    """All of its fields by the names that they have in the .proto file, also those that are 0.

    Every number is one: protobuf's own JSON has those of 64 bits as text, for JavaScript's sake.
    """
    from google.protobuf.json_format import MessageToDict

    found: dict[str, Any] = MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    _make_numbers(found, message.DESCRIPTOR)
    return found


def _make_numbers(found: dict[str, Any], descriptor: Any) -> None:
    """`descriptor` is the message's; protobuf has two types of them."""
    for field in descriptor.fields:
        value = found.get(field.name)
        if field.cpp_type in {field.CPPTYPE_INT64, field.CPPTYPE_UINT64} and value is not None:
            found[field.name] = list(map(int, value)) if isinstance(value, list) else int(value)
        elif field.message_type is not None:
            for part in value if isinstance(value, list) else [value]:
                if isinstance(part, dict):
                    _make_numbers(part, field.message_type)
