"""What a template may not make of little, and that whatever it raises is a refusal."""

import pytest

from router.prompt.chat_template import ChatTemplate, ChatTemplateError


@pytest.mark.parametrize(
    "source",
    [
        "{{ 'x' * 10**12 }}",
        "{{ messages * (2**40) }}",
        "{{ 9**9**9**9 }}",
        "{{ 2**100 ** 64 }}",
        "{% set x = [0] * 99999999999 %}",
        "{% for m in 1e999 %}{{ m }}{% endfor %}",  # compiles to a name that Python does not have
        "{{ ().__class__.__bases__ }}{{ raise_exception('no') }}",
        "{{ messages[9].content.x }}",
    ],
)
def test_a_template_that_asks_for_too_much_refuses(source):
    """At once, and in one of our errors."""
    with pytest.raises(ChatTemplateError, match="the chat template refuses the messages"):
        ChatTemplate(source).render([{"role": "user", "content": "x"}])


def test_what_templates_do_is_done():
    """Small products and powers, of numbers and of what is repeated."""
    source = "{{ '-' * 3 }}{{ [1] * 2 }}{{ 3 * 4 }}{{ 2 ** 10 }}{{ 1.5 * 2 }}{{ 2 ** 0.5 > 1 }}"
    assert ChatTemplate(source).render([]) == "---[1, 1]1210243.0True"
