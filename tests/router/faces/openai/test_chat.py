"""Chat completions, asked for with OpenAI's own client."""

from tests.router.live.counting import counted_on

HELLO = [{"role": "user", "content": "count from 41"}]


async def test_a_chat_is_answered_whole(face):
    answer = await face.client.chat.completions.create(model="fake", messages=HELLO, max_tokens=20)
    [choice] = answer.choices
    assert choice.message.content == counted_on("41", 20)
    assert choice.message.role == "assistant"
    assert choice.finish_reason == "length"
    prompt = len("user: count from 41")
    usage = answer.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (
        prompt,
        20,
        prompt + 20,
    )
    assert answer.model == "fake"
    assert answer.object == "chat.completion"


async def test_a_chat_is_streamed(face):
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
    assert len({chunk.id for chunk in chunks}) == 1
