"""Messages become a prompt by the template of the model that answers."""

import json
import re
from itertools import chain

import pytest

from serving.models import BUILT_IN
from serving.models.vocabulary import BEGIN, MARKS, encode, encode_chat
from spillway.client import ChatTemplate, ChatTemplateError, Client, SyncClient
from tests.spillway.fake_router import FakeRouter, serving

TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<{{ message.role }}>{{ message.content }}"
    "{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)
IDS = {text: token for token, text in MARKS.items()}
MESSAGES = [{"role": "user", "content": "How are you?"}]


@pytest.fixture
def folder(tmp_path):
    config = {"bos_token": {"content": "<s>"}, "eos_token": "</s>", "chat_template": TEMPLATE}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    return tmp_path


async def test_messages_are_sent_as_text(router, folder):
    """By the template that the client was given."""
    async with Client(router.address, chat_template=ChatTemplate.load(folder)) as client:
        await client.generate(messages=MESSAGES)
    assert router.requests[0].text == "<user>How are you?<assistant>"


async def test_a_model_s_own_template_is_read_once():
    """From whoever serves it: what is sent is what the model's own tokenizer would make."""
    with serving(FakeRouter(models=("tally",), tokenizer=BUILT_IN)) as router:
        async with Client(router.address) as client:
            await client.generate(messages=MESSAGES)
            await client.generate(messages=MESSAGES, model="tally")
        with SyncClient(router.address) as client:
            client.generate(messages=MESSAGES)
            client.generate(messages=MESSAGES)
        assert router.tokenizers_read == ["tally", "tally"]
    asked = [("user", "How are you?")]
    for request in router.requests:
        marked = re.split(r"(<\|[a-z]+\|>)", request.text)
        tokens = [encode(part)[1:] if part not in IDS else [IDS[part]] for part in marked]
        assert [BEGIN, *chain.from_iterable(tokens)] == encode_chat(asked)


async def test_messages_without_a_template_are_refused(router):
    """The model is named, and what to give."""
    async with Client(router.address) as client:
        with pytest.raises(ChatTemplateError, match="the chat template of tiny; give chat_templ"):
            await client.generate(messages=MESSAGES)
    with (
        SyncClient(router.address) as client,
        pytest.raises(ChatTemplateError, match="the chat template of small; give chat_templ"),
    ):
        client.generate(messages=MESSAGES, model="small")


async def test_messages_to_one_of_several_models_need_its_name():
    """Each may have a template of its own."""
    with serving(FakeRouter(models=("one", "two"), tokenizer=BUILT_IN)) as router:
        async with Client(router.address) as client:
            with pytest.raises(ChatTemplateError, match="the chat template of one and two"):
                await client.generate(messages=MESSAGES)
            await client.generate(messages=MESSAGES, model="two")
    assert router.tokenizers_read == ["two"]


async def test_exactly_one_kind_of_prompt_is_taken(router):
    """None or two are a mistake."""
    async with Client(router.address) as client:
        for given in ({}, {"prompt": "a", "token_ids": [1]}):
            with pytest.raises(ValueError, match="give one of prompt, messages and token_ids"):
                client.stream(**given)
