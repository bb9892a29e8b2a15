"""OpenAI's client on a router in front of vLLM: what only a real engine can show."""

import json

import openai
import pytest

from serving.models.answers import answer_chat
from spillway import cli
from spillway.commands.failure import Outcome
from spillway.local.fleet import LocalFleet

pytestmark = [pytest.mark.live, pytest.mark.slow]

COUNT = [{"role": "user", "content": "Count from 417"}]
MODEL = "built-in"
NO_SPACES = {str(ord(space)): -100 for space in " \n\t\r"}  # JSON may have any number of them


@pytest.fixture
def client(local_fleet: LocalFleet):
    with openai.OpenAI(
        base_url=f"http://{local_fleet.openai_address}/v1", api_key="none", max_retries=0
    ) as client:
        yield client


def test_a_chat_is_the_model_s_own(client):
    """The template and the tokenizer are the model's: whole or streamed, the answer is right."""
    right = answer_chat([("user", "Count from 417")], 30).text
    asked = {"model": MODEL, "messages": COUNT, "max_tokens": 30, "temperature": 0}
    whole = client.chat.completions.create(**asked)
    assert whole.choices[0].message.content == right
    assert whole.usage.completion_tokens == 30
    stream = client.chat.completions.create(
        stream=True, stream_options={"include_usage": True}, **asked
    )
    chunks = list(stream)
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == right
    assert chunks[-1].usage == whole.usage


def test_an_answer_ends_where_it_is_told_to(client):
    """A stop string is not shown; a seed and a temperature are taken."""
    answer = client.chat.completions.create(
        model=MODEL, messages=COUNT, stop=[" 420"], max_tokens=50, seed=7, temperature=0.0
    )
    assert answer.choices[0].message.content == "418 419"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.choices[0].model_extra["stop_reason"] == " 420"


def test_tokens_are_scored(client):
    """Each byte is a token here, and those of a character make it up again."""
    answer = client.chat.completions.create(
        model=MODEL, messages=COUNT, max_tokens=5, logprobs=True, top_logprobs=2, temperature=0
    )
    entries = answer.choices[0].logprobs.content
    assert "".join(entry.token for entry in entries) == answer.choices[0].message.content
    assert [entry.bytes for entry in entries] == [list(entry.token.encode()) for entry in entries]
    for entry in entries:
        assert len(entry.top_logprobs) == 2
        assert entry.top_logprobs[0].token == entry.token
        assert entry.logprob == entry.top_logprobs[0].logprob <= 0
    scored = client.completions.create(
        model=MODEL, prompt="417", max_tokens=5, logprobs=2, temperature=0
    )
    [choice] = scored.choices
    assert "".join(choice.logprobs.tokens) == choice.text == " 418 "
    assert choice.logprobs.text_offset == [0, 1, 2, 3, 4]
    assert all(len(top) == 2 for top in choice.logprobs.top_logprobs)


def test_a_shape_is_kept(client):
    """Whatever the model would say: the engine lets it say nothing else."""
    schema = {"type": "object", "properties": {"n": {"enum": [7]}}, "required": ["n"]}
    schema["additionalProperties"] = False
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    answer = client.chat.completions.create(
        model=MODEL, messages=COUNT, response_format=form, logit_bias=NO_SPACES, max_tokens=100
    )
    assert json.loads(answer.choices[0].message.content) == {"n": 7}


def test_a_call_is_forced(client):
    """Its arguments follow the tool's schema; streamed, they are the same."""
    parameters = {"type": "object", "properties": {"n": {"enum": [7]}}, "required": ["n"]}
    parameters["additionalProperties"] = False
    tool = {"type": "function", "function": {"name": "add", "parameters": parameters}}
    asked = {"model": MODEL, "messages": COUNT, "tools": [tool], "max_tokens": 200}
    asked |= {"logit_bias": NO_SPACES, "parallel_tool_calls": False}
    forced = {"type": "function", "function": {"name": "add"}}
    for choice in (forced, "required"):
        answer = client.chat.completions.create(tool_choice=choice, **asked)
        [call] = answer.choices[0].message.tool_calls
        assert (call.function.name, json.loads(call.function.arguments)) == ("add", {"n": 7})
        assert answer.choices[0].finish_reason == "tool_calls"
    stream = client.chat.completions.create(stream=True, tool_choice=forced, **asked)
    deltas = [chunk.choices[0].delta.tool_calls or [] for chunk in stream]
    pieces = [piece.function for delta in deltas for piece in delta]
    assert pieces[0].name == "add"
    assert json.loads("".join(piece.arguments for piece in pieces)) == {"n": 7}


def test_a_token_is_forbidden(client):
    """By its id, in a bias: the answer to "41" cannot have a 2."""
    biased = {str(ord("2")): -100}
    answer = client.completions.create(
        model=MODEL, prompt="41", max_tokens=3, logit_bias=biased, temperature=0, n=1
    )
    assert "2" not in answer.choices[0].text


def test_the_second_turn_finds_the_first_one_s_cache(client):
    """A conversation without any name goes where it was, and is answered right."""
    said = client.chat.completions.create(model=MODEL, messages=COUNT, max_tokens=30, temperature=0)
    turns = [*COUNT, {"role": "assistant", "content": said.choices[0].message.content}]
    turns.append({"role": "user", "content": "Count from 7"})
    answer = client.chat.completions.create(
        model=MODEL, messages=turns, max_tokens=10, temperature=0
    )
    assert answer.choices[0].message.content.startswith("8 9 10")


def test_the_model_is_listed(client):
    [model] = client.models.list().data
    assert model.id == MODEL


def test_a_batch_is_answered_in_the_class_that_waits(local_fleet, tmp_path):
    """By the command, as a newcomer runs it against `spillway up --local`."""
    numbers = range(40, 60)
    lines = [
        {
            "custom_id": str(number),
            "url": "/v1/chat/completions",
            "body": {
                "model": MODEL,
                "messages": [{"role": "user", "content": f"Count from {number}"}],
                "max_tokens": 12,
                "temperature": 0,
            },
        }
        for number in numbers
    ]
    (tmp_path / "in").write_text("".join(json.dumps(line) + "\n" for line in lines))
    base = f"http://{local_fleet.openai_address}/v1"
    arguments = ["batch", str(tmp_path / "in"), str(tmp_path / "out"), "--base-url", base]
    assert cli.run(arguments) == Outcome.DONE
    answers = [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]
    assert {answer["custom_id"] for answer in answers} == {str(number) for number in numbers}
    for answer in answers:
        content = answer["response"]["body"]["choices"][0]["message"]["content"]
        right = answer_chat([("user", f"Count from {answer['custom_id']}")], 12).text
        assert content == right
