"""Text completions and models, asked for with OpenAI's own client."""

import pytest
from openai import BadRequestError, NotFoundError

from tests.router.faces.openai.conftest import faced
from tests.router.live.conftest import address, engine
from tests.router.live.counting import counted_on


async def test_a_text_is_completed(face):
    """OpenAI's default is 16 tokens."""
    answer = await face.client.completions.create(model="fake", prompt="41")
    assert answer.choices[0].text == counted_on("41", 16)
    assert answer.choices[0].finish_reason == "length"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (2, 16)


async def test_a_completion_is_streamed(face):
    stream = await face.client.completions.create(
        model="fake",
        prompt="41",
        max_tokens=50,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = [chunk async for chunk in stream]
    assert "".join(c.choices[0].text for c in chunks if c.choices) == counted_on("41", 50)
    assert chunks[-1].usage.total_tokens == 52


@pytest.mark.parametrize("prompts", [["41", "7"], [list(b"41"), list(b"7")]])
async def test_several_prompts_are_one_answer(face, prompts):
    """In the order of the prompts, as text or as token ids; n answers each."""
    asked = {"model": "fake", "prompt": prompts, "max_tokens": 10, "n": 2}
    expected = [counted_on("41", 10)] * 2 + [counted_on("7", 10)] * 2
    answer = await face.client.completions.create(**asked)
    assert [choice.text for choice in answer.choices] == expected
    assert answer.usage.prompt_tokens == 3
    texts = [""] * 4
    async for chunk in await face.client.completions.create(stream=True, **asked):
        texts[chunk.choices[0].index] += chunk.choices[0].text
    assert texts == expected


async def test_one_bad_prompt_of_several_ends_them_all(face):
    with pytest.raises(BadRequestError) as caught:
        await face.client.completions.create(model="fake", prompt=["41", ""])
    assert caught.value.param == "prompt"
    state = await face.routed.state_where(lambda state: not state.open_streams)
    assert not state.open_streams


@pytest.mark.parametrize("prompt", ["41", list(b"41")])
async def test_the_prompt_is_repeated_where_asked(face, prompt):
    answer = await face.client.completions.create(
        model="fake", prompt=prompt, echo=True, max_tokens=5
    )
    assert answer.choices[0].text == "41" + counted_on("41", 5)


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"prompt": []}, "prompt"),
        ({"prompt": ["a"] * 129}, "prompt"),
        ({"prompt": [-1]}, "prompt"),
        ({"prompt": [999]}, "prompt"),
        ({"suffix": "end"}, "suffix"),
        ({"best_of": 3}, "best_of"),
        ({"echo": True, "logprobs": 1}, "echo"),
        ({"extra_body": {"guided_json": {}, "guided_regex": "a"}}, "guided_regex"),
    ],
)
async def test_what_cannot_be_honoured_is_refused_by_its_name(face, asked, param):
    with pytest.raises(BadRequestError) as caught:
        await face.client.completions.create(**{"model": "fake", "prompt": "41"} | asked)
    assert caught.value.param == param


async def test_models_are_listed_with_their_aliases():
    """Each is found by its name, also one with a slash."""
    async with (
        engine(served_names=("org/fake", "counter")) as server,
        faced({"home": [address(server)]}) as face,
    ):
        models = await face.client.models.list()
        assert [model.id for model in models.data] == ["counter", "org/fake"]
        async with face.http.get("/v1/models/org/fake") as response:
            assert (await response.json())["max_model_len"] == 32_768
        with pytest.raises(NotFoundError):
            await face.client.models.retrieve("other")
        async with face.http.get("/health") as response:
            assert response.status == 200
        answer = await face.client.completions.create(model="counter", prompt="1", max_tokens=2)
        assert answer.model == "counter"
