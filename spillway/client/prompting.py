"""What a call asks to be answered: a text, token ids, or messages that a template makes a text."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from router.prompt.chat_template import Message
from spillway.client.cookies import Cookies
from spillway.client.options import Call, OptionError, Options, call_of
from wire.metadata import OPERATION_KEY
from wire.tracing.names import CHAT


@dataclass(frozen=True, slots=True)
class Conversation:
    """Messages, to be turned into a text once it is known which model answers."""

    messages: tuple[Message, ...]


Given = str | Sequence[int] | Conversation


def one_prompt(
    prompt: str | None, messages: Sequence[Message] | None, token_ids: Sequence[int] | None
) -> Given:
    """Whichever of the three is given; OptionError where it is not exactly one, or of its kind."""
    if sum(one is not None for one in (prompt, messages, token_ids)) != 1:
        raise OptionError("give one of prompt, messages and token_ids")
    if prompt is not None:
        if not _is_text(prompt):
            raise OptionError(f"prompt: expected text, found {prompt!r:.100}")
        return prompt
    if token_ids is not None:
        if _is_text(token_ids):
            raise OptionError("token_ids: expected numbers, found text")
        return token_ids
    if _is_text(messages) or not messages:
        raise OptionError(f"messages: expected at least one message, found {messages!r:.100}")
    return Conversation(tuple(messages))


def _is_text(value: object) -> bool:
    """Whatever the annotations say: text is a sequence, too."""
    return isinstance(value, str)


def call_for(given: Given, options: Options, *, deadline_s: float, cookies: Cookies) -> Call:
    """The request for what is given; messages have no text in it yet. Raises as `call_of` does."""
    prompt = "" if isinstance(given, Conversation) else given
    call = call_of(prompt, options, deadline_s=deadline_s, cookies=cookies)
    if isinstance(given, Conversation):
        call = replace(call, metadata=(*call.metadata, (OPERATION_KEY, CHAT)))
    return call
