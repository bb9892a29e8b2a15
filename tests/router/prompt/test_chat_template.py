"""Messages become a prompt by the template of the model that answers."""

import json

import pytest

from router.prompt.chat_template import ChatTemplate, ChatTemplateError

TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<{{ message.role }}>{{ message.content }}"
    "{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)
MESSAGES = [{"role": "user", "content": "How are you?"}]


@pytest.fixture
def folder(tmp_path):
    config = {"bos_token": {"content": "<s>"}, "eos_token": "</s>", "chat_template": TEMPLATE}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    return tmp_path


def test_a_template_is_found_where_models_keep_it(folder):
    """In the tokenizer's config, in a file beside it, or named itself; without the first token."""
    prompt = "<user>How are you?<assistant>"
    assert ChatTemplate.load(folder).render_text(MESSAGES) == prompt
    assert ChatTemplate.load(folder / "tokenizer_config.json").render_text(MESSAGES) == prompt
    (folder / "chat_template.jinja").write_text("{{ messages | tojson }}")
    assert ChatTemplate.load(folder).render_text(MESSAGES) == json.dumps(MESSAGES)
    assert ChatTemplate.load(folder / "chat_template.jinja").render([]) == "[]"


@pytest.mark.parametrize(
    "template",
    [
        "{% if",
        "{{ raise_exception('roles must alternate') }}",
        "{{ messages.__class__.__mro__ }}",
        "{{ messages[9].content }}",
        "{{ 1 // 0 }}",
    ],
)
def test_a_template_that_refuses_is_an_error(template):
    """Whatever is wrong with it, and whatever it tries."""
    with pytest.raises(ChatTemplateError, match="refuses the messages"):
        ChatTemplate(template).render_text(MESSAGES)


@pytest.mark.parametrize("content", ["{}", "[]", "{", '{"chat_template": 3}'])
def test_a_config_without_a_template_is_an_error(tmp_path, content):
    """The error says where it was looked for."""
    path = tmp_path / "tokenizer_config.json"
    path.write_text(content)
    with pytest.raises(ChatTemplateError, match=r"no chat template at .*tokenizer_config\.json"):
        ChatTemplate.load(path)


def test_a_prompt_that_is_tokenized_here_has_the_first_token():
    """The tokenizer is told to add none."""
    template = ChatTemplate(TEMPLATE, bos_token="<s>")
    assert template.render(MESSAGES) == "<s><user>How are you?<assistant>"
    assert template.render(MESSAGES, add_generation_prompt=False) == "<s><user>How are you?"


def test_a_template_finds_what_it_expects():
    """Tools, the date, loops that are left early, and marks for training."""
    template = ChatTemplate(
        "{% if tools %}{{ tools | tojson(indent=1) }}{% endif %}{{ strftime_now('%%') }}"
        "{% for message in messages %}{% if loop.index > 1 %}{% break %}{% endif %}"
        "{% generation %}{{ message.content }}{% endgeneration %}{% endfor %}{{ style }}"
    )
    text = template.render(MESSAGES * 2, tools=[{"é": 1}], style="!")
    assert text == '[\n {\n  "é": 1\n }\n]%How are you?!'


def test_a_variable_cannot_stand_for_the_messages():
    """What clients set beside them are variables of the template's own."""
    further = {"bos_token": "x", "eos_token": "y"}
    assert ChatTemplate(TEMPLATE, "<s>").render(MESSAGES, **further).startswith("<s><user>")
