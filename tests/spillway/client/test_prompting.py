"""A call is given one prompt, of its kind."""

import pytest

from spillway.client.options import OptionError
from spillway.client.prompting import Conversation, one_prompt

MESSAGE = {"role": "user", "content": "hello"}


def test_one_of_three_is_taken():
    """As it is; messages wait for a template."""
    assert one_prompt("hello", None, None) == "hello"
    assert one_prompt("", None, None) == ""
    assert one_prompt(None, None, [1, 2]) == [1, 2]
    assert one_prompt(None, [MESSAGE], None) == Conversation((MESSAGE,))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((None, None, None), "give one of prompt, messages and token_ids"),
        (("hello", None, [1]), "give one of prompt, messages and token_ids"),
        (("", [], []), "give one of prompt, messages and token_ids"),
        ((3, None, None), "prompt: expected text, found 3"),
        (([1, 2], None, None), "prompt: expected text, found \\[1, 2\\]"),
        ((b"hello", None, None), "prompt: expected text, found b'hello'"),
        ((None, None, "hello"), "token_ids: expected numbers, found text"),
        ((None, [], None), "messages: expected at least one message, found \\[\\]"),
        ((None, "hello", None), "messages: expected at least one message, found 'hello'"),
    ],
)
def test_another_number_or_kind_is_refused(given, message):
    """Before anything is sent, by the argument's name."""
    with pytest.raises(OptionError, match=f"^{message}$"):
        one_prompt(*given)
