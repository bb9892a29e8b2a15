"""What a call asks to be answered: a text, token ids, or messages that a template makes a text."""

from collections.abc import Sequence
from dataclasses import dataclass

from router.prompt.chat_template import ChatTemplate, ChatTemplateError, Message
from spillway.client.chat import built_in_template
from spillway.client.options import OptionError


@dataclass(frozen=True, slots=True)
class Conversation:
    """Messages, to be turned into a text once it is known which model answers."""

    messages: tuple[Message, ...]

    def text(self, template: ChatTemplate | None, models: Sequence[str]) -> str:
        """The prompt, by the template given or else that of the built-in model.

        `models` are those that may answer.

        Raises:
            ChatTemplateError: there is no template for them.
        """
        template = template or (built_in_template(models[0]) if len(models) == 1 else None)
        if template is None:
            named = f"of {' and '.join(models)}" if models else "of the model that answers"
            raise ChatTemplateError(
                f"messages need the chat template {named}; give chat_template, made by"
                " ChatTemplate.load from the model's folder or its tokenizer_config.json"
            )
        return template.render_text(self.messages)


Given = str | Sequence[int] | Conversation


def one_prompt(
    prompt: str | None, messages: Sequence[Message] | None, token_ids: Sequence[int] | None
) -> Given:
    """Whichever of the three is given; OptionError where it is not exactly one."""
    given = [one for one in (prompt, messages, token_ids) if one is not None]
    if len(given) != 1:
        raise OptionError("give one of prompt, messages and token_ids")
    return Conversation(tuple(messages)) if messages is not None else given[0]  # type: ignore[return-value]
