"""What a request becomes on vllm.Inference, parameter by parameter."""

import pytest
from google.protobuf.json_format import MessageToDict

from router.faces.models import Served
from router.faces.openai.chat_request import ChatRequest
from router.faces.openai.completion_request import CompletionRequest
from router.faces.openai.errors import ApiError
from router.faces.openai.generation import chat_generation, completion_generations
from router.live.model_texts import ModelText
from router.prompt.chat_template import ChatTemplate
from router.prompt.tokenizer import ModelTokenizer
from serving.fake_engine import TOKENIZER

SERVED = Served("m", "", "m", (100, 1000))
TEMPLATE = ChatTemplate(
    "{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m.content }}"
    "{% if m.tool_calls %}{{ m.tool_calls[0].function.arguments.a }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}{{ style }}",
    bos_token="^",
)
TOKENIZING = ModelText(TEMPLATE, ModelTokenizer((TOKENIZER / "tokenizer.json").read_bytes()))
HELLO = [{"role": "user", "content": "hi"}]


async def rendered_here(template, messages, variables):
    """A prompt, without a process for it."""
    return template.render(messages, **variables)


async def chat(text=TOKENIZING, served=SERVED, **asked):
    request = ChatRequest.model_validate({"messages": HELLO} | asked)
    return await chat_generation(request, served, text, (), rendered_here)


def prompt_of(generation):
    return bytes(generation.token_ids.ids).decode()


@pytest.mark.parametrize(
    ("asked", "becomes"),
    [
        ({"temperature": 0.5}, {"temperature": 0.5}),
        ({"temperature": 0}, {"temperature": 0.0}),
        ({"n": 2, "top_p": 0.5}, {"sampling": {"numSequences": 2, "topP": 0.5}}),
        ({"top_p": 0}, {"sampling": {"topK": 1}}),
        ({"top_k": -1}, {}),
        ({"top_k": 5, "min_p": 0.25}, {"sampling": {"topK": 5, "minP": 0.25}}),
        ({"seed": 0}, {"sampling": {"seed": "0"}}),
        ({"seed": -3}, {"sampling": {"seed": "-3"}}),
        ({"presence_penalty": -1, "frequency_penalty": 1.5}, {
            "decoding": {"presencePenalty": -1.0, "frequencyPenalty": 1.5}}),
        ({"repetition_penalty": 1.25}, {"decoding": {"repetitionPenalty": 1.25}}),
        ({"logit_bias": {"50256": -100}}, {"decoding": {"logitBias": {"50256": -100.0}}}),
        ({"allowed_token_ids": [1, 2]}, {"decoding": {"allowedTokenIds": [1, 2]}}),
        ({"response_format": {"type": "text"}}, {}),
        ({"response_format": {"type": "json_object"}}, {"decoding": {"jsonObject": True}}),
        ({"response_format": {"type": "json_schema", "json_schema": {"schema": {"a": 1}}}}, {
            "decoding": {"json": '{"a": 1}'}}),
        ({"structured_outputs": {"regex": "a+"}}, {"decoding": {"regex": "a+"}}),
        ({"structured_outputs": {"json": {"a": 1}}}, {"decoding": {"json": '{"a": 1}'}}),
        ({"structured_outputs": {"json_object": True}}, {"decoding": {"jsonObject": True}}),
        ({"structured_outputs": {"choice": ["a", "b"]}}, {
            "decoding": {"choice": {"choices": ["a", "b"]}}}),
        ({"stop": "x"}, {"stopping": {"stopStrings": ["x"]}}),
        ({"stop": ["x", "y"], "include_stop_str_in_output": True}, {
            "stopping": {"stopStrings": ["x", "y"], "includeStopStrings": True}}),
        ({"stop_token_ids": [3], "min_tokens": 2, "ignore_eos": True}, {
            "stopping": {"stopTokenIds": [3], "minNewTokens": 2, "ignoreEos": True}}),
        ({"skip_special_tokens": False}, {"response": {"skipSpecialTokens": False}}),
        ({"priority": -2, "truncate_prompt_tokens": 9}, {
            "priority": -2, "truncatePromptTokens": 9}),
        ({"cache_salt": "s"}, {"kv": {"cacheSalt": "s"}}),
        ({"user": "u"}, {"sessionId": "u"}),
        ({"stop": None, "n": None, "seed": None, "user": None, "tools": None}, {}),
    ],
)  # fmt: skip
async def test_a_parameter_goes_to_its_field(asked, becomes):
    """And nothing else changes; what is absent, the engine chooses."""
    made = MessageToDict(await chat(max_tokens=7, **asked))
    made["stopping"].pop("maxNewTokens")
    if not made["stopping"]:
        del made["stopping"]
    del made["model"], made["tokenIds"]
    assert made == becomes


async def test_scores_are_asked_for():
    made = (await chat(logprobs=True, top_logprobs=3)).response
    assert (made.output_logprobs, made.output_token_ids, made.output_candidates.top_n) == (
        True,
        True,
        3,
    )
    made = (await chat(logprobs=True)).response
    assert made.output_logprobs
    assert not made.HasField("output_candidates")


async def test_a_prompt_goes_as_token_ids():
    """With the first token as the template wrote it, and nothing added."""
    made = await chat(chat_template_kwargs={"style": "!"})
    assert prompt_of(made) == "^[user]hi[assistant]!"


@pytest.mark.parametrize("name", ["messages", "tools", "self"])
async def test_a_template_s_own_variables_are_not_set_beside_the_request(name):
    """The client is told which, and that it is its mistake."""
    with pytest.raises(ApiError, match=f"chat_template_kwargs: must not have {name}") as refused:
        await chat(chat_template_kwargs={name: []})
    assert refused.value.status == 400


async def test_a_prompt_goes_as_text_where_ids_are_not_known():
    """Its first token left to the engine's own tokenizer."""
    several = ModelText(TEMPLATE, TOKENIZING.tokenizer, is_agreed=False)
    for text in (ModelText(TEMPLATE), several):
        made = await chat(text, max_tokens=3)
        assert made.text == "[user]hi[assistant]"


async def test_a_long_prompt_is_tokenized_as_a_short_one():
    content = "x" * 40_000
    made = await chat(messages=[{"role": "user", "content": content}], max_tokens=1)
    assert prompt_of(made) == f"^[user]{content}[assistant]"


@pytest.mark.parametrize(
    ("length", "contexts", "room"), [(40, (100, 1000), 60), (100, (100, 1000), 900), (1000, (), 0)]
)
async def test_what_fits_is_the_default_limit(length, contexts, room):
    """At the smallest endpoint that the prompt fits."""
    content = "x" * (length - len("^[user][assistant]"))
    asked = {"messages": [{"role": "user", "content": content}]}
    served = Served("m", "", "m", contexts)
    if room:
        assert (await chat(served=served, **asked)).stopping.max_new_tokens == room
    else:
        with pytest.raises(ApiError, match="context is not known"):
            await chat(served=served, **asked)


async def test_a_prompt_that_fits_nowhere_is_the_core_s_to_refuse():
    made = await chat(messages=[{"role": "user", "content": "x" * 2000}])
    assert made.stopping.max_new_tokens == 1


async def test_messages_are_as_templates_expect_them():
    """Parts are joined, arguments are values, absent content is empty, a developer is a system."""
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a": 5}'}}
    messages = [
        {"role": "developer", "content": "be brief"},
        {"role": "user", "content": [{"type": "text", "text": t} for t in "ab"]},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "assistant"},
    ]
    made = await chat(messages=messages, add_generation_prompt=False)
    assert prompt_of(made) == "^[system]be brief[user]a\nb[assistant]None5[assistant]"


async def test_the_last_message_can_be_gone_on_with():
    messages = [*HELLO, {"role": "assistant", "content": "well, "}]
    made = await chat(messages=messages, continue_final_message=True)
    assert prompt_of(made) == "^[user]hi[assistant]well,"
    with pytest.raises(ApiError, match="excludes"):
        await chat(messages=messages, continue_final_message=True, add_generation_prompt=True)


async def test_a_template_s_refusal_is_the_client_s_to_read():
    text = ModelText(ChatTemplate("{{ raise_exception('no systems here') }}"))
    with pytest.raises(ApiError, match="no systems here") as caught:
        await chat(text)
    assert caught.value.error["param"] == "messages"
    with pytest.raises(ApiError, match="no chat template"):
        await chat(ModelText())


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"seed": 2**63}, "seed"),
        ({"top_k": -2}, "top_k"),
        ({"priority": 2**40}, "priority"),
        ({"max_tokens": 2**33}, "max_tokens"),
        ({"stop_token_ids": [-1]}, "stop_token_ids"),
        ({"logit_bias": {"99999999999": 1}}, "logit_bias"),
        ({"logit_bias": {"4294967296": 1}}, "logit_bias"),
        ({"structured_outputs": {}}, "structured_outputs"),
        ({"structured_outputs": {"json": {}, "regex": "a"}}, "structured_outputs"),
        ({"modalities": ["audio"]}, "modalities"),
        ({"bad_words": ["x"]}, "bad_words"),
        ({"tool_choice": {"type": "function", "function": {"name": "f"}}}, "tool_choice"),
    ],
)
async def test_what_no_request_can_carry_is_refused_by_its_name(asked, param):
    with pytest.raises(ApiError) as caught:
        await chat(**asked)
    assert caught.value.error["param"] == param
    assert caught.value.status == 400


def test_a_session_goes_by_its_first_name():
    """The header wins, then the user, then the key of the cache."""

    def session(metadata=(), **asked):
        request = CompletionRequest(prompt="x", **asked)
        [made] = completion_generations(request, SERVED, metadata)
        return made.session_id

    named = {"user": "u", "prompt_cache_key": "k"}
    assert session((("x-session-id", "h"),), **named) == "h"
    assert session(**named) == "u"
    assert session(prompt_cache_key="k") == "k"
    assert not session()


async def test_a_conversation_is_known_by_how_it_began():
    """From its first answer on, whatever follows; others are others."""
    first = [*HELLO, {"role": "assistant", "content": "hello"}]
    asked = [first, [*first, *HELLO], [*first, *HELLO, *first], [*HELLO, *first]]
    one, two, three, other = [(await chat(messages=m, max_tokens=1)).session_id for m in asked]
    assert one == two == three != other
    assert not (await chat()).session_id
