"""Whatever a body says, it becomes a request or is refused with a reason."""

import json

import grpc
from google.protobuf.any_pb2 import Any
from google.rpc.status_pb2 import Status
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from router.faces.models import Served
from router.faces.openai.chat_request import ChatRequest
from router.faces.openai.completion_request import CompletionRequest
from router.faces.openai.errors import ApiError, of_call, of_validation
from router.faces.openai.generation import chat_generation, completion_generations
from router.faces.openai.tool_calls import reader_for
from router.live.model_texts import ModelText
from router.prompt.chat_template import ChatTemplate
from wire.status import DETAILS_KEY, CallError

VIOLATIONS = "type.googleapis.com/google.rpc.BadRequest"
SERVED = Served("m", "", "m", (1000,))
TEXT = ModelText(ChatTemplate("{% for m in messages %}{{ m.role }}{{ m.content }}{% endfor %}"))

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant", "developer", "tool"])},
        optional={"content": VALUES, "tool_calls": VALUES, "name": VALUES},
    ),
    max_size=3,
)


def bodies(model, **fields):
    """Bodies in which some parameters have values of any kind, and some those that they take."""
    likely = {
        "stop": st.lists(st.text(max_size=3), max_size=3),
        "response_format": st.fixed_dictionaries(
            {"type": st.sampled_from(["text", "json_object", "json_schema"])},
            optional={"json_schema": VALUES},
        ),
        "structured_outputs": st.dictionaries(
            st.sampled_from(["json", "regex", "choice", "grammar", "json_object"]), VALUES
        ),
        "tool_choice": st.sampled_from(["none", "auto", "required"]),
        "tools": st.lists(
            st.fixed_dictionaries(
                {"type": st.just("function"), "function": st.fixed_dictionaries({"name": VALUES})}
            ),
            max_size=2,
        ),
    }
    names = sorted(set(model.model_fields) - set(fields))
    optional = {name: VALUES | likely.get(name, st.integers(-2, 5)) for name in names}
    return st.fixed_dictionaries(fields, optional=optional)


def read(model, body):
    """The body as a request; ApiError for one that is none."""
    try:
        return model.model_validate_json(json.dumps(body))
    except ValidationError as error:
        raise of_validation(error) from error


async def rendered_here(template, messages, variables):
    """A prompt, without a process for it."""
    return template.render(messages, **variables)


def is_told(error):
    """Whether a client gets to know why its request is refused."""
    return error.status == 400 and json.loads(error.body)["error"]["message"]


@given(bodies(ChatRequest, messages=MESSAGES))
async def test_any_chat_is_a_request_or_refused(body):
    made, refused = None, None
    try:
        asked = read(ChatRequest, body)
        made = await chat_generation(asked, SERVED, TEXT, (), rendered_here)
        reader_for(asked, TEXT.template)
    except ApiError as error:
        refused = error
    assert made.stopping.max_new_tokens > 0 if made else is_told(refused)


@given(bodies(CompletionRequest, prompt=VALUES | st.text() | st.lists(st.integers(-1, 300))))
def test_any_completion_is_a_request_or_refused(body):
    made, refused = None, None
    try:
        made = completion_generations(read(CompletionRequest, body), SERVED, ())
    except ApiError as error:
        refused = error
    assert all(one.stopping.max_new_tokens > 0 for one in made) if made else is_told(refused)


@given(st.binary(max_size=60))
@example(Status(details=[Any(type_url=VIOLATIONS, value=b"\xff")]).SerializeToString())
def test_any_details_are_an_error(details):
    """Of an endpoint that may send anything for google.rpc.Status."""
    for code in grpc.StatusCode:
        told = of_call(CallError(code, "why", ((DETAILS_KEY, details),)), "prompt")
        assert 400 <= told.status < 600
        assert json.loads(told.body)["error"]["type"]
