"""Chat completions, asked for with OpenAI's own client."""

import openai
import pytest

from tests.router.faces.openai.conftest import faced
from tests.router.live.conftest import address, engine, pace
from tests.router.live.counting import counted_on
from tests.waiting import until

HELLO = [{"role": "user", "content": "count from 41"}]
PROMPT = "user: count from 41"  # by the fake engine's template, a token for each byte


async def test_a_chat_is_answered_whole(face):
    answer = await face.client.chat.completions.create(model="fake", messages=HELLO, max_tokens=20)
    [choice] = answer.choices
    assert choice.message.content == counted_on("41", 20)
    assert choice.message.role == "assistant"
    assert choice.finish_reason == "length"
    usage = answer.usage
    assert (usage.prompt_tokens, usage.completion_tokens) == (len(PROMPT), 20)
    assert usage.total_tokens == len(PROMPT) + 20
    assert (answer.model, answer.object) == ("fake", "chat.completion")


async def test_a_chat_is_streamed(face):
    """A role first, then text, then why it ended, then what it took; one id throughout."""
    stream = await face.client.chat.completions.create(
        model="fake",
        messages=HELLO,
        max_completion_tokens=20,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = [chunk async for chunk in stream]
    assert chunks[0].choices[0].delta.role == "assistant"
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == counted_on("41", 20)
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "length"
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == 20
    assert chunks[-1].usage.prompt_tokens == len(PROMPT)
    assert len({chunk.id for chunk in chunks}) == 1


async def test_a_stream_says_what_it_took_only_where_asked(face):
    stream = await face.client.chat.completions.create(
        model="fake", messages=HELLO, max_tokens=3, stream=True
    )
    chunks = [chunk async for chunk in stream]
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)


async def test_several_answers_are_told_apart(face):
    """Whole and streamed: each has its number, and all count."""
    asked = {"model": "fake", "messages": HELLO, "max_tokens": 10, "n": 3}
    whole = await face.client.chat.completions.create(**asked)
    assert [choice.index for choice in whole.choices] == [0, 1, 2]
    assert {choice.message.content for choice in whole.choices} == {counted_on("41", 10)}
    assert whole.usage.completion_tokens == 30
    texts = {0: "", 1: "", 2: ""}
    async for chunk in await face.client.chat.completions.create(stream=True, **asked):
        texts[chunk.choices[0].index] += chunk.choices[0].delta.content or ""
    assert set(texts.values()) == {counted_on("41", 10)}


async def test_an_answer_without_a_limit_may_fill_the_context():
    """OpenAI's default, where vllm.Inference's own would be 20 tokens."""
    async with (
        engine(itl_s=0, max_model_len=100) as server,
        faced({"home": [address(server)]}) as face,
    ):
        answer = await face.client.chat.completions.create(model="fake", messages=HELLO)
        assert answer.usage.total_tokens == 100
        assert answer.choices[0].finish_reason == "length"


async def test_tools_and_parts_reach_the_template(face):
    """The fake engine's template writes tools in a line of their own."""
    tool = {"type": "function", "function": {"name": "now", "parameters": {"type": "object"}}}
    parts = [{"type": "text", "text": "count"}, {"type": "text", "text": "from 41"}]
    answer = await face.client.chat.completions.create(
        model="fake", messages=[{"role": "user", "content": parts}], tools=[tool], max_tokens=5
    )
    written = (
        '[{"type": "function", "function": {"name": "now", "parameters": {"type": "object"}}}]'
    )
    assert answer.usage.prompt_tokens == len(f"{written}\nuser: count\nfrom 41")
    assert answer.choices[0].message.content == counted_on("41", 5)
    assert answer.choices[0].message.tool_calls is None


async def test_the_answer_says_where_it_came_from(face):
    """What are trailers on the native API are headers of a whole answer."""
    raw = await face.client.chat.completions.with_raw_response.create(
        model="fake", messages=HELLO, max_tokens=3
    )
    assert raw.headers["x-spillway-site"] == "home"
    assert raw.headers["x-request-id"] == raw.parse().id


async def test_a_model_that_nobody_serves_is_not_found(face):
    with pytest.raises(openai.NotFoundError) as caught:
        await face.client.chat.completions.create(model="gpt-9", messages=HELLO)
    assert caught.value.code == "model_not_found"
    assert caught.value.param == "model"


async def test_a_prompt_that_does_not_fit_is_refused(face):
    """By the core, as on the native API, under the parameter's name here."""
    with pytest.raises(openai.BadRequestError) as caught:
        await face.client.chat.completions.create(
            model="fake", messages=[{"role": "user", "content": "x" * 40_000}]
        )
    assert caught.value.param == "messages"


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"temperature": 3}, "temperature"),
        ({"n": 0}, "n"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 100_000}, "max_tokens"),
        ({"logit_bias": {"x": 1}}, "logit_bias"),
        ({"stop": "."}, "stop"),  # which the fake engine refuses
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, None),
    ],
)
async def test_what_cannot_be_honoured_is_refused_by_its_name(face, asked, param):
    """By this face, by the core or by the engine: the error is the same kind."""
    with pytest.raises(openai.BadRequestError) as caught:
        await face.client.chat.completions.create(**{"model": "fake", "messages": HELLO} | asked)
    assert caught.value.type == "invalid_request_error"
    assert caught.value.param == (param or "messages.0.content")


async def test_a_client_that_stops_reading_frees_the_engine():
    """Closing the stream ends the request in the engine, long before its last token."""
    async with engine(itl_s=0.01) as server, faced({"home": [address(server)]}) as face:
        stream = await face.client.chat.completions.create(
            model="fake", messages=HELLO, max_tokens=20_000, stream=True
        )
        await anext(stream)
        assert server.replica.in_flight == 1
        await stream.close()
        await until(lambda: server.replica.in_flight == 0)
        state = await face.routed.state_where(lambda state: not state.open_streams)
        assert not state.open_streams


async def test_a_client_that_goes_before_the_first_token_frees_the_engine():
    """An answer that is gathered for it, too."""
    async with (
        engine(itl_s=0.01, prefill_tokens_per_s=10) as server,
        faced({"home": [address(server)]}) as face,
    ):
        with pytest.raises(openai.APITimeoutError):
            await face.client.with_options(timeout=0.3).chat.completions.create(
                model="fake", messages=HELLO
            )
        await until(lambda: server.replica.in_flight == 0)


async def test_a_stream_outlives_its_engine():
    """Its client sees one answer, each token once, and nothing of the death."""
    async with (
        engine(itl_s=0.05) as one,
        engine(itl_s=0.05) as two,
        faced({"home": [address(one)], "cloud": [address(two)]}) as face,
    ):
        text, alive = "", [one, two]
        stream = await face.client.chat.completions.create(
            model="fake",
            messages=HELLO,
            max_tokens=300,
            stream=True,
            stream_options={"include_usage": True},
        )
        async for chunk in stream:
            text += chunk.choices[0].delta.content or "" if chunk.choices else ""
            usage = chunk.usage
            if len(alive) == 2 and len(text) > 5:
                dies = next(server for server in alive if server.replica.in_flight)
                alive.remove(dies)
                pace(*alive, itl_s=0)
                dies.replica.engine.die()
        assert text == counted_on("41", 300)
        assert usage.completion_tokens == 300


async def test_an_answer_that_cannot_go_on_ends_with_an_error():
    """What came before it stays, and nobody takes it for the whole."""
    async with engine(itl_s=0.002) as server, faced({"home": [address(server)]}) as face:
        stream = await face.client.chat.completions.create(
            model="fake", messages=HELLO, max_tokens=10_000, stream=True
        )
        text = ""

        async def read():
            nonlocal text
            async for chunk in stream:
                text += chunk.choices[0].delta.content or ""
                if len(text) > 50:
                    server.replica.engine.die()

        with pytest.raises(openai.APIError) as caught:
            await read()
        assert caught.value.code == "answer_broke_off"
        assert counted_on("41", len(text)) == text


async def test_turns_of_a_conversation_are_one_session(face):
    """By header, by user, and from the second turn on by what was said first."""
    seen = []
    create = face.client.chat.completions.create
    turns = [*HELLO, {"role": "assistant", "content": "42"}, {"role": "user", "content": "7"}]
    for asked, headers in (
        ({"messages": HELLO}, {"x-session-id": "by-header"}),
        ({"messages": HELLO, "user": "by-user"}, {}),
        ({"messages": turns}, {}),
        ({"messages": [*turns, *turns[1:]]}, {}),
    ):
        await create(model="fake", max_tokens=2, extra_headers=headers, **asked)
        state = await face.routed.state()
        seen.append(state.sessions)
    assert seen == [1, 2, 3, 3]
