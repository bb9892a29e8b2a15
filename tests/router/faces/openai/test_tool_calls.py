"""Calls of tools in what a model says, however it arrives."""

import json
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from router.faces.openai.chat_request import ChatRequest
from router.faces.openai.tool_calls import (
    ForcedCall,
    ForcedCalls,
    PlainText,
    TaggedCalls,
    reader_for,
    schema_of,
)
from router.prompt.chat_template import ChatTemplate

TOOLS = [
    {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "x": 1}}},
    {"type": "function", "function": {"name": "g"}},
]
TAGGED = ChatTemplate("<tool_call>")
TEXTS = st.text(alphabet="ab<>{}\n/tool_call", max_size=20)
CALLS = st.builds(
    lambda name, arguments: (name, arguments),
    st.text(min_size=1, max_size=5),
    st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=3),
)


def asked(**fields):
    messages = [{"role": "user", "content": "x"}]
    return ChatRequest.model_validate({"messages": messages, "tools": TOOLS} | fields)


def heard(reader, pieces):
    """All content and all calls, each call's pieces put together as a client does."""
    said = [*map(reader.read, pieces), reader.end()]
    calls = {}
    for piece in (call for one in said for call in one.calls):
        name, arguments = calls.get(piece["index"], (piece["function"].get("name"), ""))
        calls[piece["index"]] = (name, arguments + piece["function"]["arguments"])
    return "".join(one.content for one in said), list(calls.values())


def cut(text, places):
    """A text in pieces."""
    edges = [0, *sorted({min(place, len(text)) for place in places}), len(text)]
    return [text[start:end] for start, end in pairwise(edges)]


@given(st.lists(CALLS, min_size=1, max_size=3), st.lists(st.integers(0, 200), max_size=20))
def test_tagged_calls_are_found_wherever_the_text_is_cut(calls, places):
    """Text before them is content, and nothing of a tag is."""
    text = "Let me see.\n" + "\n".join(
        f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments})}\n</tool_call>"
        for name, arguments in calls
    )
    content, found = heard(TaggedCalls(), cut(text, places))
    assert content.strip() == "Let me see."
    assert [(name, json.loads(arguments)) for name, arguments in found] == calls


@given(TEXTS, st.lists(st.integers(0, 20), max_size=5))
def test_text_without_calls_stays_as_it_is(text, places):
    """Also what looks like a tag and is none, or holds no call."""
    for whole in (text, f"a<tool_call>{text}</tool_call>"):
        content, found = heard(TaggedCalls(), cut(whole, places))
        assert (content, found) == (whole, [])


def test_a_last_tag_may_be_missing():
    content, found = heard(TaggedCalls(), ['<tool_call>{"name": "f", "arguments": {}}'])
    assert (content, found) == ("", [("f", "{}")])


def test_a_forced_call_is_all_that_is_said():
    """Piece by piece, as the engine's schema lets it come."""
    content, found = heard(ForcedCall("f"), ['{"a"', "", ": 1}"])
    assert (content, found) == ("", [("f", '{"a": 1}')])


def test_forced_calls_come_when_they_are_whole():
    calls = '[{"name": "f", "parameters": {"a": 1}}, {"name": "g", "parameters": {}}]'
    assert heard(ForcedCalls(), cut(calls, [3, 20])) == ("", [("f", '{"a": 1}'), ("g", "{}")])
    assert heard(ForcedCalls(), [calls[:-5]]) == (calls[:-5], [])


def test_how_an_answer_is_read_depends_on_what_was_asked():
    forced = {"type": "function", "function": {"name": "g"}}
    assert isinstance(reader_for(asked(), TAGGED), TaggedCalls)
    assert isinstance(reader_for(asked(), ChatTemplate("")), PlainText)
    assert isinstance(reader_for(asked(tool_choice="none"), TAGGED), PlainText)
    assert isinstance(reader_for(asked(tools=None), TAGGED), PlainText)
    assert isinstance(reader_for(asked(tool_choice=forced), TAGGED), ForcedCall)
    assert isinstance(reader_for(asked(tool_choice="required"), TAGGED), ForcedCalls)


def test_a_forced_call_has_a_schema():
    """Of the one tool's parameters, or of a list of calls of any."""
    forced = {"type": "function", "function": {"name": "f"}}
    assert json.loads(schema_of(asked(tool_choice=forced))) == {"type": "object", "x": 1}
    schema = json.loads(schema_of(asked(tool_choice="required")))
    names = [one["properties"]["name"]["enum"] for one in schema["items"]["anyOf"]]
    assert names == [["f"], ["g"]]
    assert "maxItems" not in schema
    one = asked(tool_choice="required", parallel_tool_calls=False)
    assert json.loads(schema_of(one))["maxItems"] == 1
    assert not schema_of(asked())
