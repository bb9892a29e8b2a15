"""A message of the wire, as scripts read it."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from google.protobuf.message import Message


def as_json(message: "Message") -> dict[str, Any]:
    """All of its fields by the names that they have in the .proto file, also those that are 0."""
    from google.protobuf.json_format import MessageToDict

    found: dict[str, Any] = MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return found
