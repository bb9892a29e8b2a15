"""Calls of tools in what a model says.

A call that the client forces is made by its JSON schema, whatever the model: the answer is the
call's arguments. Where the model is free to call or not, its own notation has to be read; the one
that is read here is the most common, a JSON object between <tool_call> tags, and only of models
whose chat template writes calls in that way. What any other model says stays text.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol
from uuid import uuid4

from router.faces.openai.chat_request import ChatRequest, Tool
from router.prompt.chat_template import ChatTemplate

_OPEN: Final = "<tool_call>"
_CLOSE: Final = "</tool_call>"

Call = dict[str, Any]
"""A piece of a call as a stream has it: the first one has an id and a name, all have arguments."""


@dataclass(slots=True)
class Said:
    """What a piece of text turned out to be."""

    content: str
    calls: Sequence[Call] = ()


class Reader(Protocol):
    """Reads what one sequence says, piece by piece."""

    @property
    def has_called(self) -> bool:
        """Whether a call was made."""
        ...

    def read(self, text: str) -> Said:
        """What is known to be said with this piece."""
        ...

    def end(self) -> Said:
        """What was held back until it was known that nothing follows."""
        ...


class PlainText:
    """Where no tools are called."""

    has_called = False

    def read(self, text: str) -> Said:
        """See Reader."""
        return Said(text)

    def end(self) -> Said:
        """See Reader."""
        return Said("")


class ForcedCall:
    """The arguments of the one function that is to be called."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.has_called = False

    def read(self, text: str) -> Said:
        """See Reader."""
        if not text:
            return Said("")
        if self.has_called:
            return Said("", [{"index": 0, "function": {"arguments": text}}])
        self.has_called = True
        return Said("", [_call(0, self._name, text)])

    def end(self) -> Said:
        """See Reader."""
        return Said("")


class ForcedCalls:
    """A JSON list of calls of any of several functions."""

    def __init__(self) -> None:
        self._text = ""
        self.has_called = False

    def read(self, text: str) -> Said:
        """See Reader."""
        self._text += text
        return Said("")

    def end(self) -> Said:
        """See Reader. A list that was cut short is text."""
        try:
            listed = json.loads(self._text)
            calls = [
                _call(place, one["name"], json.dumps(one["parameters"]))
                for place, one in enumerate(listed)
            ]
        except (ValueError, TypeError, KeyError):
            return Said(self._text)
        self.has_called = bool(calls)
        return Said("", calls)


class TaggedCalls:
    """Text, and calls between tags."""

    def __init__(self) -> None:
        self._held = ""
        self._inside = False
        self._count = 0

    @property
    def has_called(self) -> bool:
        """See Reader."""
        return self._count > 0

    def read(self, text: str) -> Said:
        """See Reader. What may be the beginning of a tag is held, and a call until it is whole."""
        self._held += text
        content, calls = "", list[Call]()
        while True:
            tag = _CLOSE if self._inside else _OPEN
            before, found, after = self._held.partition(tag)
            if not found:
                break
            self._held = after
            if self._inside:
                call = self._parsed(before)
                calls += [call] if call else []
                content += "" if call else f"{_OPEN}{before}{_CLOSE}"
            else:
                content += before
            self._inside = not self._inside
        if not self._inside:
            kept = _begun(self._held, _OPEN)
            content += self._held[: len(self._held) - kept]
            self._held = self._held[len(self._held) - kept :]
        if self._count and not content.strip():
            content = ""  # line breaks between calls
        return Said(content, calls)

    def end(self) -> Said:
        """See Reader. Models may leave out the last tag."""
        held, self._held = self._held, ""
        if not self._inside:
            return Said(held)
        call = self._parsed(held)
        return Said("", [call]) if call else Said(_OPEN + held)

    def _parsed(self, text: str) -> Call | None:
        try:
            said = json.loads(text)
            name, arguments = said["name"], said.get("arguments", said.get("parameters", {}))
        except (ValueError, TypeError, KeyError, AttributeError):
            return None
        if not isinstance(name, str):
            return None
        written = arguments if isinstance(arguments, str) else json.dumps(arguments)
        call = _call(self._count, name, written)
        self._count += 1
        return call


def reader_for(asked: ChatRequest, template: ChatTemplate | None) -> Reader:
    """Reads a sequence of the answer to a request."""
    forced = asked.forced_tools
    if forced:
        single = asked.tool_choice != "required"
        return ForcedCall(forced[0].function.name) if single else ForcedCalls()
    if asked.usable_tools and template is not None and _OPEN in template.source:
        return TaggedCalls()
    return PlainText()


def schema_of(asked: ChatRequest) -> str:
    """The JSON schema of an answer in which a call is forced; empty where none is."""
    forced = asked.forced_tools
    if not forced:
        return ""
    if asked.tool_choice != "required":
        return json.dumps(_parameters(forced[0]))
    calls = [
        {
            "type": "object",
            "properties": {
                "name": {"type": "string", "enum": [tool.function.name]},
                "parameters": _parameters(tool),
            },
            "required": ["name", "parameters"],
            "additionalProperties": False,
        }
        for tool in forced
    ]
    schema: dict[str, Any] = {"type": "array", "minItems": 1, "items": {"anyOf": calls}}
    if asked.parallel_tool_calls is False:
        schema["maxItems"] = 1
    return json.dumps(schema)


def _parameters(tool: Tool) -> Mapping[str, Any]:
    return tool.function.parameters or {"type": "object", "properties": {}}


def _call(place: int, name: str, arguments: str) -> Call:
    function = {"name": name, "arguments": arguments}
    return {"index": place, "id": f"call_{uuid4().hex}", "type": "function", "function": function}


def _begun(text: str, tag: str) -> int:
    """How many of the last characters may be the beginning of a tag."""
    longest = min(len(text), len(tag) - 1)
    return next((n for n in range(longest, 0, -1) if text.endswith(tag[:n])), 0)
